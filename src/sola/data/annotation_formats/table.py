"""CSV or TSV tables with one row per instance and columns for video, start, end and class in any order."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sola.core.files import write_text
from sola.data.annotation_formats.base import CLASS_KEY, Format, Source, VideoRecord, Videos, media_name
from sola.data.numbers import is_number

NAMES: Mapping[str, Sequence[str]] = {
    "video": (
        "video",
        "video_id",
        "video_name",
        "video_file",
        "filename",
        "file_name",
        "file",
        "media",
        "media_file",
        "id",
    ),
    "start": (
        "start",
        "t_start",
        "start_time",
        "start_s",
        "start_sec",
        "start_seconds",
        "begin",
        "begin_time",
        "onset",
    ),
    "end": (
        "end",
        "t_end",
        "end_time",
        "end_s",
        "end_sec",
        "end_seconds",
        "stop",
        "stop_time",
        "stop_s",
        "finish",
        "offset",
    ),
    "first": ("start_frame", "frame_start", "first_frame", "begin_frame"),
    "last": ("end_frame", "frame_end", "last_frame", "stop_frame"),
    "class": (
        "label",
        "class",
        "class_name",
        "action",
        "activity",
        "behavior",
        "behavior",
        "category",
        "event",
        "verb",
    ),
    "subset": ("subset", "split", "set", "partition"),
    "fps": ("fps", "frame_rate", "framerate"),
    "duration": ("video_duration", "video_length", "media_duration"),
    "score": ("score", "confidence"),
}
"""Column names by meaning, in lower case with _ for other characters. The first name present in a table is used."""
BARE = ("video", "start", "end", "class", "score")
"""Columns of a table without a header. The score is optional."""
HEADER = ("video", "start", "end", "label", "subset", "video_duration", "score")
"""Columns of a written table."""


def separator_of(text: str) -> str:
    """Return the cell separator of the first line."""
    line = text.lstrip("\n").partition("\n")[0]
    return max("\t;,", key=line.count)


def rows_of(source: Source, text: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each non-empty row. Raises SolaError for unclosed quotes."""
    text = source.text if text is None else text
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text), skipinitialspace=True, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise source.bad(f"line {number}", f"{error}; close the quotes") from None
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield number, [cell.strip() for cell in cells]


def named_rows(
    source: Source, rows: Iterator[tuple[int, list[str]]], needed: Sequence[str], cure: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place and the cells by column of each row below the header. Raises SolaError for a missing column."""
    number, header = next(rows)
    names = [plain(cell) for cell in header]
    if missing := next((name for name in needed if name not in names), None):
        raise source.bad(f"line {number}", f"the header has no column {missing!r}; {cure}")
    for number, cells in rows:
        if len(cells) != len(names):
            raise source.bad(f"line {number}", f"{len(cells)} cells; expected {len(names)}, as in the header")
        yield f"line {number}", dict(zip(names, cells, strict=True))


def plain(name: str) -> str:
    """Return a column name in lower case, with _ in place of anything but letters and digits.

    >>> plain("Start (s)"), plain("Observation id")
    ('start_s', 'observation_id')
    """
    return re.sub(r"\W+", "_", name.strip().casefold()).strip("_")


def read(source: Source) -> Videos:
    """Read a table. Raises SolaError for a missing column or a malformed cell."""
    rows = rows_of(source)
    number, cells = next(rows)
    columns = columns_of(source, number, cells)
    videos: Videos = {}
    if columns is None:
        columns = {name: position for position, name in enumerate(BARE[: len(cells)])}
        _add(source, videos, columns, number, cells)
    width = len(cells)
    for number, cells in rows:
        if len(cells) != width:
            raise source.bad(f"line {number}", f"{len(cells)} cells; expected {width}, as in the first line")
        _add(source, videos, columns, number, cells)
    return videos


def columns_of(source: Source, number: int, cells: Sequence[str]) -> dict[str, int] | None:
    """Return column positions by meaning, or None if the row is not a header. Raises SolaError for a missing column."""
    names = [plain(cell) for cell in cells]
    known = dict(NAMES)
    if source.label_key != CLASS_KEY:
        known["class"] = (plain(source.label_key),)
    positions = {
        meaning: names.index(name)
        for meaning, spellings in known.items()
        for name in [next((spelling for spelling in spellings if spelling in names), None)]
        if name is not None
    }
    time_columns = {"start", "end", "first", "last"} & set(positions)
    if (
        not time_columns
        and len(cells) in (len(BARE) - 1, len(BARE))
        and not re.search(r"[a-z]", cells[1] + cells[2], re.IGNORECASE)
    ):
        return None
    if source.video is not None and time_columns:
        positions.setdefault("video", -1)
    missing = [meaning for meaning in ("video", "class") if meaning not in positions]
    if not {"start", "end"} <= set(positions) and not {"first", "last"} <= set(positions):
        missing += [meaning for meaning in ("start", "end") if meaning not in positions]
    if missing:
        columns = " and no column ".join(
            repr(source.label_key if meaning == "class" and source.label_key != CLASS_KEY else meaning)
            for meaning in missing
        )
        raise source.bad(
            f"line {number}",
            f"the header has no column {columns}, only {', '.join(cells)[:80]}; expected video, start, end and label "
            "(start_frame and end_frame for frames): rename or add columns, or pick the class column with --label-key",
        )
    return positions


def _add(source: Source, videos: Videos, columns: Mapping[str, int], number: int, cells: Sequence[str]) -> None:
    """Add the instance of a row to its video. A row without times and class lists a video without instances."""
    where = f"line {number}"
    values = {meaning: cells[position] for meaning, position in columns.items() if position >= 0}
    video = media_name(values.get("video") or source.only_video)
    record = videos.setdefault(video, VideoRecord())
    record.subset = values.get("subset") or record.subset
    for meaning in ("fps", "duration"):
        if values.get(meaning):
            setattr(record, meaning, source.number(where, values[meaning], meaning))
    in_frames = "start" not in columns or "end" not in columns
    ends = [values["first"], values["last"]] if in_frames else [values["start"], values["end"]]
    if not any(ends) and not values["class"]:
        return
    start, end = (source.number(where, text.replace(",", "."), "a time") for text in ends)
    if in_frames:
        rate = source.rate(record.fps, where)
        start, end = start / rate, end / rate
    score = source.number(where, values["score"], "the score") if values.get("score") else 1.0
    record.instances.append(source.instance(where, start, end, values["class"], score))


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write a table, tab-separated for .tsv and comma-separated otherwise, with times to six decimals."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\n")
    writer.writerow(HEADER)
    for video, record in videos.items():
        known = (record.subset or "", "" if record.duration is None else f"{record.duration:.6f}")
        if record.annotated and not record.instances:
            writer.writerow([video, "", "", "", *known, ""])
        for instance in record.instances:
            writer.writerow(
                [video, f"{instance.start:.6f}", f"{instance.end:.6f}", instance.label, *known, f"{instance.score:.6g}"]
            )
    write_text(path, text.getvalue())


def fits(text: str) -> bool:
    """Return True if the first line has at least three cells and is a header or has two times."""
    line = text.lstrip("\n").partition("\n")[0]
    if re.search(r"[{}\[\]<>]", line) or len(line.split(separator_of(text))) < 3:
        return False
    names = [plain(cell.strip().strip('"')) for cell in line.split(separator_of(text))]
    times = sum(is_number(name.replace("_", ".")) for name in names)
    return times >= 2 or bool(set(names) & {*NAMES["start"], *NAMES["first"]})


FORMAT = Format("csv", fits, read, write, suffix=".csv")
