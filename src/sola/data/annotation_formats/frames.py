"""Frame-wise labels: one class per frame, one frame per line, as in GTEA, 50 Salads and Breakfast.

Results of MS-TCN are read, too: a header, then the classes of all frames on one line.
"""

import re
from itertools import groupby
from pathlib import Path

import numpy as np

from sola.core.files import write_text
from sola.data.annotation_formats.base import Format, Instance, Source, VideoRecord, Videos, written_rate
from sola.data.segments import BACKGROUND as NO_SEGMENT
from sola.data.segments import Segments, frame_labels

BACKGROUND = frozenset({"background", "bg", "sil", "none", "null", "other", "action_start", "action_end"})
"""Classes that are not actions, in lower case: those of GTEA, Breakfast and 50 Salads, and other common names."""
WRITTEN_BACKGROUND = "background"
RANGE = re.compile(r"(\d+)-(\d+)\s+(\S+)")
"""A line of Breakfast's coarse segments: first and last frame (counted from 1) and class."""
RESULT_HEADER = "### Frame level recognition: ###"
"""First line of result files of MS-TCN."""
LINES_CHECKED = 20
"""Number of lines from which the format is recognized."""


def read(source: Source) -> Videos:
    """Read the file of one video. Raises SolaError for a missing frame rate or a line that is not a class."""
    rate = source.rate(None, "a label for each frame")
    lines = source.text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if lines[0].strip() == RESULT_HEADER:
        labels = " ".join(lines[1:]).split()
        if not labels:
            raise source.bad("line 2", "is missing; expected the classes of all frames")
    else:
        labels = [line.strip() for line in lines]
    record = VideoRecord(fps=rate)
    if RANGE.fullmatch(labels[0]):
        for number, label in enumerate(labels, 1):
            where, match = f"line {number}", RANGE.fullmatch(label)
            if match is None:
                raise source.bad(where, f"{label[:60]!r}; expected first-last class, such as 31-75 take_cup")
            first, last, name = int(match[1]), int(match[2]), match[3]
            record.duration = last / rate
            if name.casefold() not in BACKGROUND:
                record.instances.append(source.instance(where, (first - 1) / rate, last / rate, name))
    else:
        if "" in labels:
            raise source.bad(f"line {labels.index('') + 1}", "is empty; expected a class on every line")
        record.duration = len(labels) / rate
        begin = 0
        for label, frames in groupby(labels):
            end = begin + len(list(frames))
            if label.casefold() not in BACKGROUND:
                record.instances.append(Instance(begin / rate, end / rate, label))
            begin = end
    return {source.only_video: record}


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write the class of every frame of one video. Where instances overlap, the highest score wins."""
    ((video, record),) = videos.items()
    rate = written_rate(path, video, record, fps)
    start, end, score = (np.array([instance[i] for instance in record.instances], np.float64) for i in (0, 1, 3))
    segments = Segments(start, end, np.arange(len(record.instances)), score)
    names = [re.sub(r"\s+", "_", instance.label) for instance in record.instances]
    frame_classes = frame_labels(segments, round(record.length * rate), rate)
    labels = [WRITTEN_BACKGROUND if index == NO_SEGMENT else names[index] for index in frame_classes.tolist()]
    write_text(path, "".join(f"{label}\n" for label in labels))


def fits(text: str) -> bool:
    """Return True for MS-TCN's header, for frame ranges, or for single words with a repetition."""
    if text.startswith(RESULT_HEADER):
        return True
    lines = [line.strip() for line in text.split("\n", LINES_CHECKED)[:LINES_CHECKED]]
    while lines and not lines[-1]:
        lines.pop()
    if all(RANGE.fullmatch(line) for line in lines):
        return bool(lines)
    words = all(re.fullmatch(r"[^\s,;:{}\[\]<>\"]+", line) and not re.fullmatch(r"[\d.]+", line) for line in lines)
    return words and len(set(lines)) < len(lines)


FORMAT = Format("frames", fits, read, write, suffix=".txt", by_video=True)
