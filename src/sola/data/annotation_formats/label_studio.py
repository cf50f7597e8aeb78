"""Label Studio: exported tasks (JSON and JSON_MIN) and predictions to import."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sola.core.files import write_json
from sola.data.annotation_formats.base import (
    CLASS_KEY,
    Format,
    Source,
    VideoRecord,
    Videos,
    lower_first,
    media_name,
    media_of,
    visible_ranges,
    written_rate,
)

UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""Prefix that Label Studio adds to the name of an uploaded file."""
MARKS = ('"timelinelabels"', '"completed_by"', '"annotation_id"', '"from_name"', '"video_url"', '"tricks"')
TIMELINE = "timelinelabels"
"""Type of regions that are frame ranges."""
DATA, CONTROL = "video", "actions"
"""Key of the video in a written task, and name of the control tag."""


class _Range(msgspec.Struct, frozen=True):
    start: float
    end: float


class _KeyFrame(msgspec.Struct, frozen=True):
    frame: int
    enabled: bool = True


class _Value(msgspec.Struct, frozen=True):
    ranges: list[_Range] = []
    timelinelabels: list[str] = []
    labels: list[str] = []
    sequence: list[_KeyFrame] = []
    framesCount: int | None = None  # noqa: N815  (Label Studio's name)
    start: float | None = None
    end: float | None = None


class _Region(msgspec.Struct):
    value: _Value = _Value()
    from_name: str = ""
    score: float | None = None


class _Annotation(msgspec.Struct):
    result: list[_Region]
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: dict[str, Any]
    annotations: list[_Annotation] = []
    predictions: list[_Annotation] = []

    @property
    def regions(self) -> list[_Region] | None:
        """Regions of the last annotation that was not skipped, else of the last prediction, or None without either."""
        annotations = [
            annotation for annotation in self.annotations if not annotation.was_cancelled
        ] or self.predictions
        return annotations[-1].result if annotations else None


def read(source: Source) -> Videos:
    """Read the last annotation of each task that was not skipped, or its last prediction if there is none.

    A task with only predictions counts as not annotated. Frames are counted from 1. `label_key` names the control tag.
    Raises SolaError for a malformed export, or for times in frames without a frame rate.
    """
    tasks: list[dict[str, Any]] = source.decode(list[dict[str, Any]])
    videos: Videos = {}
    for number, raw_task in enumerate(tasks, 1):
        where = f"task {raw_task.get('id', number)}"
        try:
            task = msgspec.convert(raw_task if "data" in raw_task else _full_task(raw_task), _Task)
        except msgspec.ValidationError as error:
            raise source.bad(where, f"{lower_first(str(error))}; export the file again") from None
        video = source.video if source.video and len(tasks) == 1 else _video_of(source, where, task.data)
        record = videos.setdefault(video, VideoRecord(annotated=False))
        rate = source.number(where, task.data["fps"], "fps") if task.data.get("fps") else None
        record.fps = rate or source.fps
        if task.data.get("duration"):
            record.duration = source.number(where, task.data["duration"], "duration")
        if task.regions is None:
            continue
        record.annotated = any(not annotation.was_cancelled for annotation in task.annotations)
        for region in task.regions:
            if source.label_key not in (CLASS_KEY, region.from_name):
                continue
            labels = region.value.timelinelabels or region.value.labels
            score = region.score if region.score is not None and not record.annotated else 1.0
            for start, end in _times(source, where, region.value, rate):
                record.instances += [source.instance(where, start, end, label, score) for label in labels]
    return videos


def _full_task(minimal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON_MIN task, which has data fields and control tags as keys, as a full JSON task."""
    regions = [
        {"from_name": name, "value": value}
        for name, values in minimal.items()
        if isinstance(values, list)
        for value in values
        if isinstance(value, dict)
    ]
    return {"data": minimal, "annotations": [{"result": regions}]}


def _video_of(source: Source, where: str, data: Mapping[str, Any]) -> str:
    """Return the video id of a task from the first string that is a path or URL, with "video" checked first."""
    texts = [data[key] for key in (DATA, "video_url", "url", "audio") if isinstance(data.get(key), str)]
    texts += [value for value in data.values() if isinstance(value, str) and re.search(r"\.\w{2,4}$", value)]
    if not texts:
        raise source.bad(where, f"has no path or URL of a video, only {', '.join(map(str, data))[:60]}")
    return UPLOADED.sub("", media_name(texts[0]))


def _times(source: Source, where: str, value: _Value, rate: float | None) -> Iterator[tuple[float, float]]:
    """Yield start and end (seconds) of a region: frame ranges, the frames of a track, or audio times."""
    keys = [(key.frame, key.enabled) for key in sorted(value.sequence, key=lambda key: key.frame)]
    end_frame = max([value.framesCount or 0, *(frame for frame, _ in keys)])
    ranges = [(interval.start, interval.end) for interval in value.ranges] or list(visible_ranges(keys, end_frame))
    if ranges:
        frames = source.rate(rate, where)
        for first, last in ranges:
            yield (first - 1) / frames, last / frames
    elif value.start is not None and value.end is not None:
        yield value.start, value.end
    elif value.timelinelabels or value.labels:
        raise source.bad(where, "a region has a class but no times; expected ranges, a track, or start and end")


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write one task per video with its instances as a prediction, to import and correct in Label Studio.

    The project needs `<Video name="video" value="$video"/>` and `<TimelineLabels name="actions" toName="video">`.
    """
    tasks = []
    for video, record in videos.items():
        rate = written_rate(path, video, record, fps)
        result = []
        for number, instance in enumerate(record.instances):
            first = round(instance.start * rate) + 1
            frames = {"start": first, "end": max(round(instance.end * rate), first)}
            value = {"ranges": [frames], TIMELINE: [instance.label]}
            region = {"id": f"{number:08x}", "from_name": CONTROL, "to_name": DATA, "type": TIMELINE, "value": value}
            result.append({**region, "score": instance.score, "origin": "prediction"})
        data: dict[str, Any] = {DATA: media_of(video, record), "fps": rate}
        if record.duration is not None:
            data["duration"] = record.duration
        score = sum(instance.score for instance in record.instances) / max(len(record.instances), 1)
        tasks.append({"data": data, "predictions": [{"model_version": "sola", "score": score, "result": result}]})
    write_json(path, tasks)


def _fits(text: str) -> bool:
    """Return True if the text has regions with labels, or tasks that have no regions yet."""
    tasks = text.lstrip().startswith("[") and '"data"' in text and '"annotations"' in text
    return tasks or any(mark in text for mark in MARKS)


FORMAT = Format("label-studio", _fits, read, write)
