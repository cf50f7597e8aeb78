"""Conversion of detections to FiftyOne's temporal detections, from seconds to frame numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sola.core.errors import SolaError
from sola.data.detections import Detections

ROUNDING = 1e-6
"""Tolerance (frames) for comparing a time with a frame boundary."""


@dataclass(frozen=True)
class VideoFrames:
    """Frame rate and frame count of a video, with the attribute names of FiftyOne's VideoMetadata."""

    frame_rate: float
    """Frames per second."""
    total_frame_count: int


def to_fiftyone(detections: Detections, videos: Mapping[str, Any]) -> dict[str, Any]:
    """Convert detections to FiftyOne: one `fiftyone.TemporalDetections` per video, to assign to a sample field.

    `support` is [first, last], the 1-based inclusive numbers of the frames between start and end, clipped to the
    video. Detections outside the video are dropped. Proposals without a class get no label.

    Args:
        detections: detections with segments in seconds.
        videos: frame rate and frame count by video id: `VideoFrames`, or `sample.metadata` after FiftyOne's
            `dataset.compute_metadata()`.

    Returns:
        `fiftyone.TemporalDetections` by video id, for all videos of `detections`.

    Raises:
        SolaError: if FiftyOne is not installed, the frame rate or frame count of a video is unknown, all detections
            of a video are outside it, or a segment ends before it starts.

    Examples:
        >>> import sola
        >>> from sola.export import VideoFrames
        >>> detections = sola.read_detections("detections.json")
        >>> frames = {video: VideoFrames(frame_rate=25.0, total_frame_count=500) for video in detections.videos}
        >>> converted = sola.to_fiftyone(detections, frames)  # doctest: +SKIP
        >>> converted["validation_0000"].detections[0].support  # doctest: +SKIP
        [13, 88]
    """
    try:
        fiftyone = import_module("fiftyone")
    except ModuleNotFoundError as error:
        if error.name != "fiftyone":
            raise
        raise SolaError("FiftyOne is not installed; get it with: pip install fiftyone") from None
    converted = {}
    for video, segments in detections.by_video().items():
        rate, count = _frames(video, videos)
        times = zip(segments.start.tolist(), segments.end.tolist(), strict=True)
        supports = [support(video, start, end, rate, count) for start, end in times]
        if supports and not any(supports):
            raise SolaError(
                f"video {video!r}: all detections are outside its {count} frames at {rate:g} frames per second; "
                "expected the frame rate and frame count of this video"
            )
        converted[video] = fiftyone.TemporalDetections(
            detections=[
                fiftyone.TemporalDetection(label=detections.classes[label] or None, support=frames, confidence=score)
                for label, score, frames in zip(segments.label.tolist(), segments.score.tolist(), supports, strict=True)
                if frames
            ]
        )
    return converted


def support(video: str, start: float, end: float, frame_rate: float, count: int) -> list[int] | None:
    """Return the first and last frame number between `start` and `end` seconds, or None if there is no frame.

    Frame n lasts from (n - 1) / frame_rate to n / frame_rate seconds. FiftyOne's `from_timestamps` can differ by one
    frame, because it spaces the frames evenly from 0 to the duration, both included.

    >>> support("v", 1.0, 2.0, frame_rate=25.0, count=100)
    [26, 50]

    Raises SolaError if the segment ends before it starts.
    """
    if end < start:
        raise SolaError(f"video {video!r}: the detection {start:g} to {end:g} s ends before it starts")
    first = math.floor(start * frame_rate + ROUNDING) + 1
    last = max(math.ceil(end * frame_rate - ROUNDING), first)
    if first > count or last < 1 or end < 0:
        return None
    return [max(first, 1), min(last, count)]


def _frames(video: str, videos: Mapping[str, Any]) -> tuple[float, int]:
    """Return frame rate and frame count of a video. Raises SolaError if either is unknown."""
    rate, count = (getattr(videos.get(video), name, None) for name in ("frame_rate", "total_frame_count"))
    if not rate or not count or rate <= 0 or count < 1:
        raise SolaError(
            f"video {video!r}: frame rate {rate} and frame count {count}; expected both above 0, such as "
            "sample.metadata after dataset.compute_metadata(), or VideoFrames(frame_rate, total_frame_count)"
        )
    return float(rate), int(count)
