"""Audacity label tracks: one file per video, one line per label, `start<TAB>end<TAB>text`, times in seconds."""

import re
from pathlib import Path

from sola.core.files import write_text
from sola.data.annotation_formats.base import Format, Source, VideoRecord, Videos

LINE = re.compile(r"[ \t]*\d+(?:[.,]\d+)?\t\d+(?:[.,]\d+)?(?:\t[^\n]*)?(?:\r?\n|$)")
FREQUENCIES = "\\"
"""First character of the line after a label that holds the frequencies of a spectral selection."""


def read(source: Source) -> Videos:
    """Read a label track. Raises SolaError for a line that is not a label."""
    record = VideoRecord()
    for number, line in enumerate(source.text.splitlines(), 1):
        if not line.strip() or line.startswith(FREQUENCIES):
            continue
        where, cells = f"line {number}", line.split("\t")
        if len(cells) < 3:
            raise source.bad(where, f"{line[:60]!r}; expected start, end and label separated by tabs")
        start, end = (source.number(where, cell.replace(",", "."), "a time") for cell in cells[:2])
        record.instances.append(source.instance(where, start, end, "\t".join(cells[2:])))
    return {source.only_video: record}


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write the labels of one video, with microsecond precision as in Audacity."""
    (record,) = videos.values()
    lines = (
        f"{instance.start:.6f}\t{instance.end:.6f}\t{' '.join(instance.label.split())}\n"
        for instance in record.instances
    )
    write_text(path, "".join(lines))


FORMAT = Format(
    "audacity",
    lambda text: LINE.match(text) is not None,
    read,
    write,
    suffix=".txt",
    by_video=True,
)
