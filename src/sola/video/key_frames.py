"""Read single frames of a video at given times."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from sola.video.decoding import MICROSECONDS, opened, shown_frames, stamp_of, time_zero
from sola.video.framing import Framing, turns

if TYPE_CHECKING:
    from av import VideoFrame


def key_frames(path: Path, seconds: Sequence[float], height: int) -> list[UInt8[np.ndarray, "{height} _width 3"]]:
    """Return the frames at these times (seconds after `time_zero`), upright and `height` pixels high.

    Times before the first frame give the first frame, and times after the end give the last frame. Raises BadVideo like
    `shown_frames`.
    """
    return [_resized(_frame_at(path, time), height) for time in seconds]


def _frame_at(path: Path, seconds: float) -> "VideoFrame":
    from av import FFmpegError

    with opened(path) as (container, stream), suppress(FFmpegError):
        first = next(container.decode(stream), None)
        if first is not None:
            time = float(time_zero(container, stamp_of(path, first, 0))) + seconds
            container.seek(int(time * MICROSECONDS), backward=True)
            best = None
            for frame in container.decode(stream):
                if frame.time is None or frame.time > time:
                    break
                best = frame
            if best is not None:
                return best
    for shown in shown_frames(path):
        if seconds < shown.end:
            break
    return shown.frame


def _resized(frame: "VideoFrame", height: int) -> UInt8[np.ndarray, "{height} _width 3"]:
    """Return the whole frame with its aspect ratio preserved."""
    width, frame_height = (frame.height, frame.width) if turns(frame) % 2 else (frame.width, frame.height)
    return Framing(height, max(1, round(height * width / frame_height)))(frame)
