"""Detections as FiftyOne's temporal detections: seconds become frame numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sola.core.errors import SolaError
from sola.data.detections import Detections

ROUNDING = 1e-6
"""Tolerance in frames when a time is compared with the edge of a frame."""


@dataclass(frozen=True)
class VideoFrames:
    """Frame rate (frames per second) and frame count of a video, under the names of FiftyOne's VideoMetadata."""

    frame_rate: float
    total_frame_count: int


def to_fiftyone(detections: Detections, videos: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `fiftyone.TemporalDetections` of every video, the value of a field of a video sample.

    `support` is [first, last], the 1-based inclusive numbers of the frames between start and end, cut to the video; a
    detection outside of the video is left out. Proposals without a class have no label.

    Args:
        detections: segments in seconds.
        videos: `VideoFrames` by id, or `sample.metadata` after FiftyOne's `dataset.compute_metadata()`.

    Raises SolaError if FiftyOne is not installed, if the frames of a video are unknown, if all its detections lie
    outside of it, or if a segment ends before it starts.
    """
    try:
        fiftyone = import_module("fiftyone")
    except ModuleNotFoundError as error:
        if error.name != "fiftyone":
            raise
        raise SolaError("FiftyOne is not installed; get it with: pip install fiftyone") from None
    found = {}
    for video, own in detections.by_video().items():
        rate, count = _frames(video, videos)
        times = zip(own.start.tolist(), own.end.tolist(), strict=True)
        supports = [support(video, start, end, rate, count) for start, end in times]
        if supports and not any(supports):
            raise SolaError(
                f"video {video!r}: all detections lie outside its {count} frames at {rate:g} a second; expected the "
                "frame rate and count of the video they belong to"
            )
        found[video] = fiftyone.TemporalDetections(
            detections=[
                fiftyone.TemporalDetection(label=detections.classes[label] or None, support=frames, confidence=score)
                for label, score, frames in zip(own.label.tolist(), own.score.tolist(), supports, strict=True)
                if frames
            ]
        )
    return found


def support(video: str, start: float, end: float, frame_rate: float, count: int) -> list[int] | None:
    """Return the numbers of the first and last frame between `start` and `end` seconds, None if there are none.

    Frame n lasts from (n - 1) / frame_rate to n / frame_rate seconds. FiftyOne's own `from_timestamps` spreads the
    frames from 0 to the duration, both included, and can differ by a frame.

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
    """Return frame rate and count of a video. Raises SolaError if one is unknown."""
    rate, count = (getattr(videos.get(video), name, None) for name in ("frame_rate", "total_frame_count"))
    if not rate or not count or rate <= 0 or count < 1:
        raise SolaError(
            f"video {video!r}: frame rate {rate} and frame count {count}; expected both above 0, such as "
            "sample.metadata after dataset.compute_metadata(), or VideoFrames(frame_rate, total_frame_count)"
        )
    return float(rate), int(count)
