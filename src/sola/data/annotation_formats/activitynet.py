"""ActivityNet JSON, also used by HACS and THUMOS14: {"database": {video: {"subset", "duration", "annotations"}}}."""

from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import read_json, write_json
from sola.data.annotation_formats.base import Format, Instance, Source, VideoRecord, Videos, short_repr

WITHHELD = ("test", "testing")
"""Subsets that may lack annotations (as in OpenTAD's files for EPIC-Kitchens and Ego4D)."""
EXPECTED = 'expected {"database": {video: {"subset", "duration", "annotations"}}}, the ActivityNet layout'


def read(source: Source) -> Videos:
    """Read the records of all videos.

    Numbers may be strings, including fractions ("30000/1001") and clock times ("00:01:20.5"). Duration and fps are
    optional. A missing fps is computed from `frame` (OpenTAD) and the duration. Segments outside the video are kept.
    A test video without annotations counts as not annotated. `label_key` is the class field, such as "verb" or "noun".
    Raises SolaError naming the video and the invalid value.
    """
    document = read_json(source.path, "annotations")
    database = document.get("database") if isinstance(document, dict) else None
    if not isinstance(database, dict):
        raise SolaError(f"{source.path}: {EXPECTED}")
    if not database:
        raise SolaError(f'{source.path}: "database" has no videos; expected at least one')
    return {video: _video(source, f"video {video!r}", record) for video, record in database.items()}


def _video(source: Source, where: str, record: Any) -> VideoRecord:
    if not isinstance(record, dict):
        raise source.bad(where, f"expected an object with subset, duration and annotations, not {short_repr(record)}")
    subset, annotations = record.get("subset"), record.get("annotations")
    if not isinstance(subset, str):
        raise source.bad(where, f'"subset" must be a string, not {short_repr(subset)}')
    withheld = "annotations" not in record and subset.casefold() in WITHHELD
    if not withheld and not isinstance(annotations, list):
        raise source.bad(
            where, f'"annotations" must be a list of {{"segment", "label"}}, not {short_repr(annotations)}'
        )
    frames = _positive(source, where, record, "duration_frame")
    feature_frames = _positive(source, where, record, "feature_frame")
    duration = _positive(source, where, record, "duration")
    fps, frame_count = (_positive(source, where, record, key) for key in ("fps", "frame"))
    if fps is None and frame_count and duration:
        fps = frame_count / duration
    return VideoRecord(
        [_instance(source, where, annotation) for annotation in annotations or ()],
        subset,
        duration,
        fps,
        feature_frames / frames if frames and feature_frames else 1.0,
        annotated=not withheld,
    )


def _positive(source: Source, where: str, record: dict[str, Any], key: str) -> float | None:
    if record.get(key) is None:
        return None
    number = _number(source, where, record[key], key)
    if number <= 0:
        raise source.bad(where, f'"{key}" must be positive, not {short_repr(record[key])}')
    return number


def _instance(source: Source, where: str, annotation: Any) -> Instance:
    key = source.label_key
    if not isinstance(annotation, dict):
        raise source.bad(where, f'expected an annotation {{"segment", "{key}"}}, not {short_repr(annotation)}')
    segment = annotation.get("segment")
    if not isinstance(segment, list) or len(segment) != 2:
        raise source.bad(where, f'"segment" must be [start, end] in seconds, not {short_repr(segment)}')
    start, end = (_number(source, where, time, "segment") for time in segment)
    if end < start:
        raise source.bad(where, f"segment {short_repr(segment)} ends before it starts")
    if key not in annotation:
        has = ", ".join(repr(name) for name in annotation)
        raise source.bad(where, f"an annotation has no {key!r}, only {has}; pick the class field with --label-key")
    label = annotation[key]
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise source.bad(where, f"{key!r} must be a class name or number, not {short_repr(label)}")
    return Instance(start, end, str(label))


def _number(source: Source, where: str, value: Any, key: str) -> float:
    return source.number(where, value, f'"{key}"')


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write annotations. Videos without a subset go to "training" if annotated, to "unlabeled" otherwise."""
    database = {}
    for video, record in videos.items():
        facts = {"duration": record.duration, "fps": record.fps or fps}
        database[video] = {
            "subset": record.subset or ("training" if record.annotated else "unlabeled"),
            **{name: value for name, value in facts.items() if value is not None},
            "annotations": [
                {"segment": [instance.start, instance.end], "label": instance.label} for instance in record.instances
            ],
        }
    write_json(path, {"version": "sola", "database": database})


def fits(text: str) -> bool:
    """Return True if the text is a JSON object with a "database", which may follow a long taxonomy."""
    return text.lstrip()[:1] == "{" and '"database"' in text


FORMAT = Format("activitynet", fits, read, write)
