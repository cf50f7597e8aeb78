"""Read and write detections and proposals: ActivityNet JSON, and THUMOS14 text or CSV."""

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
"""ActivityNet JSON, THUMOS14 text lines, or one class per frame. "auto" reads .txt, .csv and .tsv files as lines, a
folder as files with one class per frame, and other files as JSON."""

UNLABELED = ""
"""Class of proposals without a label."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of many videos, with the video ids and class names that the table indexes.

    Examples:
        >>> import sola
        >>> detections = sola.read_detections("detections.json")
        >>> sorted(detections.videos)
        ['validation_0000', 'validation_0001', 'validation_0002']
        >>> segments = detections.by_video()["validation_0000"]
        >>> bool((segments.end >= segments.start).all())
        True
    """

    videos: tuple[str, ...]
    """Video ids, indexed by `table.video`."""
    classes: tuple[str, ...]
    """Class names, indexed by `table.label`."""
    table: SegmentTable
    """Segments of all videos (seconds), with scores."""

    @classmethod
    def of(cls, segments: Mapping[str, Segments], classes: Sequence[str]) -> "Detections":
        """Return detections from the segments (seconds) of each video, by id."""
        return cls(tuple(segments), tuple(classes), SegmentTable.joined(list(segments.values())))

    def labeled_as(self, classes: Sequence[str]) -> "Detections":
        """Replace THUMOS14 class numbers with names if `classes` are the THUMOS14 class names."""
        return replace(self, classes=named(self.classes, classes))

    def by_video(self) -> dict[str, Segments]:
        """Return the segments (seconds) of each video, by id."""
        return {video: self.table.take(self.table.video == index) for index, video in enumerate(self.videos)}


class _Detection(msgspec.Struct, gc=False):
    """A detection. Tools for THUMOS14 and HACS write numbers as strings. Proposals have no label."""

    segment: tuple[float | str, float | str]
    score: float | str
    label: str | int | None = None
    verb: str | int | None = None
    """Verb class; EPIC-Kitchens submissions have a verb and a noun instead of a label."""
    noun: str | int | None = None


class _File(msgspec.Struct):
    """ActivityNet detections file; other keys are ignored."""

    results: dict[str, msgspec.Raw]


_FILE = msgspec.json.Decoder(_File)
_DETECTIONS = msgspec.json.Decoder(list[_Detection])

T = TypeVar("T")


def read_detections(path: Path | str, format: Format = "auto", *, fps: float | None = None) -> Detections:
    """Read detections in file order.

    The file is one of:

    - JSON `{"results": {video: [{"segment": [start, end], "label", "score"}]}}`, with times in seconds. A detection may
      have a verb and a noun instead of a label, as in EPIC-Kitchens submissions. They form a class such as "3,12".
    - Text lines `video start end class score`, or a table with a header.
    - A file with one class per frame of a single video, or a folder of these files. All scores are 1.

    Segments outside the video and segments that end before they start are kept.

    Args:
        path: the file or folder.
        format: "activitynet", "thumos" (text lines), "frames", or "auto" to choose by the file suffix.
        fps: frames per second, required for files with one class per frame.

    Raises:
        SolaError: if the file is missing or malformed, or if a value is missing or not finite.

    Examples:
        >>> import sola
        >>> detections = sola.read_detections("detections.json")
        >>> len(detections.videos), detections.table.score.dtype
        (3, dtype('float64'))
    """
    path = Path(path)
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


def write_detections(path: Path | str, detections: Mapping[str, Segments], classes: Sequence[str]) -> None:
    """Write detections as ActivityNet JSON, atomically.

    Args:
        path: the file to write.
        detections: segments (seconds) with scores, by video id.
        classes: class names that segment labels index.

    Raises:
        SolaError: if the file cannot be written, or if a time or score is not finite.

    Examples:
        >>> import numpy as np
        >>> import sola
        >>> segments = sola.Segments(np.array([1.5]), np.array([4.0]), np.array([0]), np.array([0.9]))
        >>> sola.write_detections("predictions.json", {"video_1": segments}, ["jump"])
        >>> sola.read_detections("predictions.json").classes
        ('jump',)
    """
    path, results = Path(path), {}
    for video, segments in detections.items():
        columns = (segments.start, segments.end, segments.score)
        if not all(np.isfinite(column).all() for column in columns):
            raise SolaError(f"{path}: video {video!r}: a time or score is not finite; no file was written")
        results[video] = [
            {"segment": [start, end], "label": classes[label], "score": score}
            for start, end, score, label in zip(*(c.tolist() for c in (*columns, segments.label)), strict=True)
        ]
    with replacing(path) as temporary:
        temporary.write_bytes(msgspec.json.encode({"version": "sola", "external_data": {}, "results": results}))


def _read_frames(path: Path, fps: float | None) -> Detections:
    """Read files with one class per frame. Raises SolaError if the frame rate is unknown."""
    if fps is None:
        raise SolaError(f"{path}: one class per frame, but the frame rate is unknown; pass --fps")
    annotations = read_annotations(path, fps=fps)
    return Detections.of({video: record.segments for video, record in annotations.videos.items()}, annotations.classes)


def _read_json(path: Path) -> Iterator[tuple[str, Columns]]:
    """Yield the columns of each video. Only one video at a time is decoded into Python objects."""
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
        read_json(path, "detections")  # raises for a duplicate video, of which only the last was decoded


def _columns(path: Path, video: str, raw: msgspec.Raw) -> Columns:
    """Decode the detections of one video."""
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
    """Decode JSON. Raises SolaError if it is malformed or does not have the structure that the decoder expects."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise SolaError(f"{where}: {lower_first(str(error))}; expected {expected}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = str(error).removeprefix("JSON is malformed: ")
        hint = " (NaN and Infinity are not valid JSON)" if "invalid character" in message else ""
        raise SolaError(f"{where}: malformed JSON: {lower_first(message)}{hint}; expected {expected}") from None
