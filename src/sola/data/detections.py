"""Detections and proposals as files: ActivityNet's JSON, and THUMOS14's text or CSV."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import numpy as np

from sola.core.errors import SolaError
from sola.core.files import read_json, replacing, utf8
from sola.data.annotation_formats.base import lower_first
from sola.data.annotations import read_annotations
from sola.data.detection_lines import Columns, read_lines
from sola.data.segments import Segments, SegmentTable
from sola.data.thumos14 import named

Format = Literal["auto", "activitynet", "thumos", "frames"]
"""ActivityNet's JSON, THUMOS14's lines, or a class for each frame; "auto" takes .txt, .csv and .tsv files for lines,
and a folder for files with a class for each frame."""

UNLABELED = ""
"""Class of proposals without a label."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of many videos in seconds, and the video ids and class names that the table indexes."""

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    table: SegmentTable

    @classmethod
    def of(cls, segments: Mapping[str, Segments], classes: Sequence[str]) -> "Detections":
        """Return the segments (seconds) of each video, by id, as one table."""
        return cls(tuple(segments), tuple(classes), SegmentTable.joined(list(segments.values())))

    def labeled_as(self, classes: Sequence[str]) -> "Detections":
        """Return detections with the names of THUMOS14's numbered classes, if annotations have these as `classes`."""
        return replace(self, classes=named(self.classes, classes))

    def by_video(self) -> dict[str, Segments]:
        """Return the segments (seconds) of each video, by id."""
        return {video: self.table.take(self.table.video == index) for index, video in enumerate(self.videos)}


class _Detection(msgspec.Struct, gc=False):
    """A detection; tools of THUMOS14 and HACS write numbers as strings, and proposals have no label."""

    segment: tuple[float | str, float | str]
    score: float | str
    label: str | int | None = None
    verb: str | int | None = None
    """EPIC-Kitchens' submissions have a verb and a noun instead of a label."""
    noun: str | int | None = None


class _File(msgspec.Struct):
    """ActivityNet's layout; other keys are ignored."""

    results: dict[str, msgspec.Raw]


_FILE = msgspec.json.Decoder(_File)
_DETECTIONS = msgspec.json.Decoder(list[_Detection])

T = TypeVar("T")


def read_detections(path: Path, format: Format = "auto", *, fps: float | None = None) -> Detections:
    """Read detections (seconds) in the order of the file.

    It holds `{"results": {video: [{"segment": [start, end], "label", "score"}]}}`, or lines as `read_lines` has them:
    `video start end class score`, or columns that a header names. Segments outside of the video are kept, and so are
    those that end before they start. Instead of a label, a detection may have a verb and a noun, as in submissions to
    EPIC-Kitchens, which make a class such as "3,12".

    Files with a class for each frame, `fps` frames a second, are read by `read_annotations`: one of a single video, or
    a folder of them. Their scores are 1.

    Raises SolaError naming the file, the video or line, and the value that is missing, malformed or not finite.
    """
    if format == "auto" and path.is_dir():
        format = "frames"
    elif format == "auto":
        format = "thumos" if path.suffix.lower() in (".txt", ".csv", ".tsv") else "activitynet"
    if format == "frames":
        return _read_frames(path, fps)
    rows = _read_json(path) if format == "activitynet" else read_lines(path)
    videos: list[str] = []
    classes: dict[str, int] = {}
    columns: list[tuple[np.ndarray, ...]] = []
    for video, (start, end, score, labels) in rows:
        label = [classes.setdefault(name, len(classes)) for name in labels]
        column = tuple(np.array(values, np.float64) for values in (start, end, score))
        if not all(np.isfinite(values).all() for values in column):
            raise SolaError(f"{path}: video {video!r}: segments and scores must be finite numbers, not NaN or infinite")
        columns.append((*column, np.array(label, np.int64), np.full(len(label), len(videos))))
        videos.append(video)
    if not columns:
        return Detections((), (), SegmentTable.empty())
    starts, ends, scores, label_index, video_index = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Detections(tuple(videos), tuple(classes), SegmentTable(starts, ends, label_index, scores, video_index))


def write_detections(path: Path, detections: Mapping[str, Segments], classes: Sequence[str]) -> None:
    """Write segments (seconds) by video as ActivityNet's JSON, atomically.

    Raises SolaError if the file cannot be written, or a number is not finite.
    """
    results = {}
    for video, segments in detections.items():
        columns = (segments.start, segments.end, segments.score)
        if not all(np.isfinite(column).all() for column in columns):
            raise SolaError(f"{path}: video {video!r}: a detection is not finite; nothing is written")
        results[video] = [
            {"segment": [start, end], "label": classes[label], "score": score}
            for start, end, score, label in zip(*(c.tolist() for c in (*columns, segments.label)), strict=True)
        ]
    with replacing(path) as aside:
        aside.write_bytes(msgspec.json.encode({"version": "sola", "external_data": {}, "results": results}))


def _read_frames(path: Path, fps: float | None) -> Detections:
    """Read the classes of frames. Raises SolaError without a frame rate."""
    if fps is None:
        raise SolaError(f"{path}: has a class for each frame, and nothing says how many there are a second; pass --fps")
    found = read_annotations(path, fps=fps)
    return Detections.of({video: record.segments for video, record in found.videos.items()}, found.classes)


def _read_json(path: Path) -> Iterator[tuple[str, Columns]]:
    """Yield every video's columns; only one video at a time is held as Python objects."""
    try:
        content = utf8(path.read_bytes())
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected detections as JSON") from None
    except OSError as error:
        raise SolaError(f"{path}: cannot be read as detections ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise SolaError(f"{path}: cannot be read as detections ({error}); expected a UTF-8 JSON file") from None
    rows = 0
    for video, raw in _decode(path, content, _FILE, '{"results": {video: [...]}}').results.items():
        columns = _columns(path, video, raw)
        rows += len(columns[0])
        yield video, columns
    if content.count(b'"segment"') > rows:
        read_json(path, "detections")  # raises for a video that is there twice: of that, only the last was decoded


def _columns(path: Path, video: str, raw: msgspec.Raw) -> Columns:
    """Read one video's detections."""
    rows = _decode(f"{path}: video {video!r}", raw, _DETECTIONS, '[{"segment", "label", "score"}]')
    try:
        return (
            [float(row.segment[0]) for row in rows],
            [float(row.segment[1]) for row in rows],
            [float(row.score) for row in rows],
            [_name(row) for row in rows],
        )
    except ValueError as error:
        raise SolaError(f"{path}: video {video!r}: {error}; expected seconds and scores as numbers") from None


def _name(row: _Detection) -> str:
    if row.label is not None:
        return str(row.label)
    return UNLABELED if row.verb is None or row.noun is None else f"{row.verb},{row.noun}"


def _decode(where: Path | str, content: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], expected: str) -> T:
    """Decode JSON. Raises SolaError if it has another structure than the decoder expects."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise SolaError(f"{where}: {lower_first(str(error))}; expected {expected}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = str(error).removeprefix("JSON is malformed: ")
        hint = " (NaN and Infinity are no JSON)" if "invalid character" in message else ""
        raise SolaError(f"{where}: malformed JSON: {lower_first(message)}{hint}; expected {expected}") from None
