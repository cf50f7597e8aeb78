"""Annotations and detections from one format to another."""

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
"""Seconds."""


def read_any(
    paths: Iterable[Path], label_key: str = CLASS_KEY, *, fps: float | None = None, video: str | None = None
) -> Videos:
    """Read files of annotations or detections, or folders of annotations. Raises SolaError for a video in two of them.

    The other arguments are those of `read_annotations`.
    """
    videos: Videos = {}
    for path in paths:
        if path.is_file() and _is_detections(path):
            found = _detected(path)
        else:
            found = read_videos(path, label_key, fps=fps, video=video)
        if twice := videos.keys() & found.keys():
            raise SolaError(f"{path}: video {min(twice)!r} is in another input, too; convert them one by one")
        videos |= found
    return videos


def _is_detections(path: Path) -> bool:
    """Return whether a file is ActivityNet's JSON of detections, or lines that no format of annotations has."""
    with path.open("rb") as file:
        head = decoded(file.read(HEAD), "replace")
    return format_of(head) is None and (is_detections(head) or path.suffix.lower() == ".txt")


def _detected(path: Path) -> Videos:
    detections = read_detections(path)
    videos: Videos = {}
    for video, found in detections.by_video().items():
        labels = [detections.classes[label] for label in found.label]
        columns = (found.start.tolist(), found.end.tolist(), labels, found.score.tolist())
        videos[video] = VideoRecord([Instance(*row) for row in zip(*columns, strict=True)])
    return videos


def keep_best(videos: Videos, *, min_score: float = 0.0, per_minute: float | None = None) -> int:
    """Keep instances with a score of at least `min_score`, and of each video the best `per_minute`; return the others.

    A video without a duration lasts as long as its last instance.
    """
    dropped = 0
    for record in videos.values():
        kept = [one for one in record.instances if one.score >= min_score]
        if per_minute is not None:
            most = round(per_minute * max(record.length, 0.0) / MINUTE)
            kept = sorted(kept, key=lambda one: -one.score)[:most]
        dropped += len(record.instances) - len(kept)
        record.instances = sorted(kept)
    return dropped


def address(videos: Videos, pattern: str) -> None:
    """Set the address of each video: the pattern with its id for each *. Raises SolaError for a pattern without one."""
    if "*" not in pattern:
        raise SolaError(f"--media {pattern}: expected a * where the id of a video belongs, such as videos/*.mp4")
    for video, record in videos.items():
        record.media = pattern.replace("*", video)


def write_videos(videos: Videos, format: str, out: Path, *, fps: float | None = None) -> list[Path]:
    """Write a file, or with a format that has a file for each video a folder of them; return the files.

    A single video is written to a file if `out` has the suffix of the format.

    Raises SolaError for an unknown format, a missing frame rate, or a file that cannot be written.
    """
    if format not in WRITTEN:
        raise SolaError(f"--to {format}: expected one of {', '.join(WRITTEN)}")
    chosen = WRITTEN[format]
    assert chosen.write is not None
    if not chosen.by_video or (len(videos) == 1 and out.suffix.lower() == chosen.suffix):
        chosen.write(videos, out, fps)
        return [out]
    files = []
    for video, record in videos.items():
        files.append(out / file_of(video, chosen.suffix))
        chosen.write({video: record}, files[-1], fps)
    return files
