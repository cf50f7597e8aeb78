"""Annotations in ActivityNet's JSON layout, which HACS and THUMOS14 use too."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.data.layouts import EXPECTED, known_layout
from sola.data.numbers import parsed
from sola.data.segments import Segments

SAME_SUBSET = ({"training", "train"}, {"validation", "valid", "val"}, {"testing", "test"})
"""Names of the same subset in files of different data sets."""


@dataclass(frozen=True)
class VideoAnnotation:
    """One annotated video."""

    video: str
    subset: str
    duration: float | None
    """Seconds; None if unknown (THUMOS14)."""
    fps: float | None
    """Frames per second; None if unknown."""
    segments: Segments
    features_share: float = 1.0
    """Share of the duration that features cover: feature_frame/duration_frame in files of BMN and G-TAD."""

    @property
    def features_duration(self) -> float | None:
        """Seconds that features cover; None if unknown."""
        return None if self.duration is None else self.duration * self.features_share


@dataclass(frozen=True)
class Annotations:
    """Annotated videos by id, and the class names that their labels index."""

    videos: Mapping[str, VideoAnnotation]
    classes: tuple[str, ...]
    source: Path | None = None
    """The file; None where they were not read from one."""
    label_key: str = "label"
    """The file's field that holds the class."""

    def subset(self, name: str) -> "Annotations":
        """Return the videos of one subset, with the classes of all.

        Upper and lower case are the same, and so are the usual short forms ("train", "val", "test") where the name
        itself does not occur. Raises SolaError if it does not exist.
        """
        wanted = name.casefold()
        for same in ({wanted}, next((names for names in SAME_SUBSET if wanted in names), set())):
            chosen = {video: record for video, record in self.videos.items() if record.subset.casefold() in same}
            if chosen:
                break
        else:
            counts = Counter(record.subset for record in self.videos.values())
            known = ", ".join(f"{subset!r} ({count} videos)" for subset, count in counts.most_common())
            raise SolaError(
                f"unknown subset {name!r}; the annotations have {known or 'no video at all'}: name the subsets by "
                "--train-subset and --test-subset"
            )
        return replace(self, videos=chosen)


def read_annotations(path: Path, label_key: str = "label") -> Annotations:
    """Read `{"database": {video: {"subset", "duration", "annotations": [{"segment", "label"}]}}}`.

    Numbers may be strings, also fractions ("30000/1001") and clock times ("00:01:20.5"); duration and fps may be
    missing; segments outside of the video are kept. `label_key` is the field of the class, such as "verb" or "noun".
    Raises SolaError naming the file, the video and the value at fault, or the tool that a file is of.
    """
    try:
        document = read_json(path, "annotations")
    except SolaError as error:
        raise known_layout(path) or error from None
    database = document.get("database") if isinstance(document, dict) else None
    if not isinstance(database, dict):
        raise known_layout(path) or SolaError(f"{path}: {EXPECTED}")
    if not database:
        raise SolaError(f'{path}: "database" holds no video; expected at least one')

    records = []
    instances: list[tuple[float, float, str]] = []
    for video, record in database.items():
        try:
            subset, duration, fps, found = _video(record, label_key)
            frames, feature_frames = _positive(record, "duration_frame"), _positive(record, "feature_frame")
        except SolaError as fault:
            raise SolaError(f"{path}: video {video!r}: {fault}") from None
        instances += found
        share = feature_frames / frames if frames and feature_frames else 1.0
        records.append((video, subset, duration, fps, share, len(found)))

    # views of one array for all videos: ActivityNet's 19,228 videos would need 77,000 small arrays
    classes = tuple(sorted({label for _, _, label in instances}))
    position = {label: index for index, label in enumerate(classes)}
    everything = Segments(
        np.array([start for start, _, _ in instances], np.float64),
        np.array([end for _, end, _ in instances], np.float64),
        np.array([position[label] for _, _, label in instances], np.int64),
        np.ones(len(instances)),
    )
    videos = {}
    begin = 0
    for video, subset, duration, fps, share, count in records:
        segments = everything.take(slice(begin, begin + count))
        videos[video] = VideoAnnotation(video, subset, duration, fps, segments, share)
        begin += count
    return Annotations(videos, classes, path, label_key)


def _video(record: Any, label_key: str) -> tuple[str, float | None, float | None, list[tuple[float, float, str]]]:
    """Return subset, duration, fps and instances (start, end, class name) of one video's record."""
    if not isinstance(record, dict):
        raise SolaError(f"expected an object with subset, duration and annotations, not {_shown(record)}")
    subset, annotations = record.get("subset"), record.get("annotations")
    if not isinstance(subset, str):
        raise SolaError(f'"subset" must be a string, not {_shown(subset)}')
    if not isinstance(annotations, list):
        raise SolaError(f'"annotations" must be a list of {{"segment", "label"}}, not {_shown(annotations)}')
    instances = [_instance(annotation, label_key) for annotation in annotations]
    return subset, _positive(record, "duration"), _positive(record, "fps"), instances


def _positive(record: dict[str, Any], key: str) -> float | None:
    if record.get(key) is None:
        return None
    number = _number(record[key], key)
    if number <= 0:
        raise SolaError(f'"{key}" must be positive, not {_shown(record[key])}')
    return number


def _instance(annotation: Any, label_key: str) -> tuple[float, float, str]:
    if not isinstance(annotation, dict):
        raise SolaError(f'expected an annotation {{"segment", "{label_key}"}}, not {_shown(annotation)}')
    segment = annotation.get("segment")
    if not isinstance(segment, list) or len(segment) != 2:
        raise SolaError(f'"segment" must be [start, end] in seconds, not {_shown(segment)}')
    start, end = _number(segment[0], "segment"), _number(segment[1], "segment")
    if end < start:
        raise SolaError(f"segment {_shown(segment)} ends before it starts")
    if label_key not in annotation:
        has = ", ".join(repr(key) for key in annotation)
        raise SolaError(f"an annotation has no {label_key!r}, only {has}; pick the class field with --label-key")
    label = annotation[label_key]
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise SolaError(f"{label_key!r} must be a class name or number, not {_shown(label)}")
    return start, end, str(label)


def _number(value: Any, key: str) -> float:
    """Return a finite number, which may be a string (THUMOS14, HACS), a fraction or a clock time."""
    try:
        number = math.nan if isinstance(value, bool) else parsed(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SolaError(f'"{key}" must hold finite numbers, not {_shown(value)}')
    return number


def _shown(value: Any) -> str:
    """Return a value on one short line."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
