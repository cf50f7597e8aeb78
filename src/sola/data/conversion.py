"""Convert annotations and detections between formats."""

from collections.abc import Iterable
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.annotation_formats import WRITTEN, format_of
from sola.data.annotation_formats.base import CLASS_KEY, Instance, VideoRecord, Videos
from sola.data.annotations import read_videos
from sola.data.detections import read_detections
from sola.data.layouts import HEAD, is_detections
from sola.data.names import file_of

MINUTE = 60.0
"""Length of a minute (seconds)."""


def read_any(
    paths: Iterable[Path], label_key: str = CLASS_KEY, *, fps: float | None = None, video: str | None = None
) -> Videos:
    """Read annotation files, detection files or annotation folders. Raises SolaError for a video in two inputs.

    The other arguments are those of `read_annotations`.
    """
    videos: Videos = {}
    for path in paths:
        if path.is_file() and _is_detections(path):
            new_videos = _read_detected(path)
        else:
            new_videos = read_videos(path, label_key, fps=fps, video=video)
        if duplicates := videos.keys() & new_videos.keys():
            raise SolaError(
                f"{path}: video {min(duplicates)!r} is also in another input; convert the inputs separately"
            )
        videos |= new_videos
    return videos


def _is_detections(path: Path) -> bool:
    """Return True if the file is ActivityNet detections JSON, or text lines that match no annotation format."""
    with path.open("rb") as file:
        head = decoded(file.read(HEAD), "replace")
    return format_of(head) is None and (is_detections(head) or path.suffix.lower() == ".txt")


def _read_detected(path: Path) -> Videos:
    detections = read_detections(path)
    videos: Videos = {}
    for video, segments in detections.by_video().items():
        labels = [detections.classes[label] for label in segments.label]
        columns = (segments.start.tolist(), segments.end.tolist(), labels, segments.score.tolist())
        videos[video] = VideoRecord([Instance(*row) for row in zip(*columns, strict=True)])
    return videos


def keep_best(videos: Videos, *, min_score: float = 0.0, per_minute: float | None = None) -> int:
    """Drop instances below `min_score` and all but the best `per_minute` of each video; return the number dropped.

    A video of unknown duration is taken to end with its last instance.
    """
    dropped = 0
    for record in videos.values():
        selected = [instance for instance in record.instances if instance.score >= min_score]
        if per_minute is not None:
            limit = round(per_minute * max(record.length, 0.0) / MINUTE)
            selected = sorted(selected, key=lambda instance: -instance.score)[:limit]
        dropped += len(record.instances) - len(selected)
        record.instances = sorted(selected)
    return dropped


def address(videos: Videos, pattern: str) -> None:
    """Set the path or URL of each video by replacing * in the pattern with its id. Raises SolaError without a *."""
    if "*" not in pattern:
        raise SolaError(f"--media {pattern}: expected a * in place of the video id, such as videos/*.mp4")
    for video, record in videos.items():
        record.media = pattern.replace("*", video)


def write_videos(videos: Videos, format: str, out: Path, *, fps: float | None = None) -> list[Path]:
    """Write one file, or a folder of files for a format with one file per video. Return the files.

    With such a format, a single video is written to a file if `out` has the suffix of the format.

    Raises SolaError for an unknown format, a missing frame rate, or a file that cannot be written.
    """
    if format not in WRITTEN:
        raise SolaError(f"--to {format}: expected one of {', '.join(WRITTEN)}")
    form = WRITTEN[format]
    assert form.write is not None
    if not form.by_video or (len(videos) == 1 and out.suffix.lower() == form.suffix):
        form.write(videos, out, fps)
        return [out]
    files = []
    for video, record in videos.items():
        files.append(out / file_of(video, form.suffix))
        form.write({video: record}, files[-1], fps)
    return files
