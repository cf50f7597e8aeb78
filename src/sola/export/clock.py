"""Snippet times of ActionFormer and OpenTAD: integer frames, equal for all videos except for the frame rate.

Center of snippet i in seconds:
- sola: (offset + i·stride + window/2) / fps
- ActionFormer (libs/datasets/anet.py, libs/modeling/meta_archs.py): (i·feat_stride + num_frames/2) / fps
- OpenTAD (opentad/datasets/anet.py, convert_to_seconds): (i·snippet_stride + offset_frames) / fps, with integers

So both num_frames/2 and offset_frames are the center of the first snippet.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sola.core.errors import SolaError
from sola.data.timing import SnippetGrid

MAX_PARTS = 1000
"""Maximum subdivision of a frame for turning strides and offsets into integers."""
FRACTION_TOLERANCE = 1e-9
"""Maximum relative error of a fraction."""
CENTER_TOLERANCE = 1e-6
"""Maximum difference (snippets) between the first centers of two videos."""


@dataclass(frozen=True)
class Clock:
    """Snippet times shared by all videos: snippet i is centered at (i · stride + first) / fps seconds.

    A frame here may be a fraction of a video frame.
    """

    stride: int
    """Distance between snippets (frames): feat_stride, feature_stride."""
    first: int
    """Center of the first snippet (frames): offset_frames, num_frames / 2."""
    fps: Mapping[str, float]
    """Frames per second by video id."""


def common_clock(grids: Mapping[str, SnippetGrid]) -> Clock:
    """Return the clock that reproduces the times of all grids; a stride of 1.5 frames becomes 3 half frames.

    Raises SolaError if no clock does: the first centers (in strides) differ between videos or are before the start of
    the video, or no subdivision of a frame down to 1/1000 turns all values into integers.
    """
    video, grid = next(iter(grids.items()))
    phase = _phase(grid)
    if phase < 0:
        raise SolaError(
            f"video {video!r}: its first snippet is centered {-phase:g} strides before the video begins, which "
            "ActionFormer cannot express; correct offset and window, or drop the snippets before the start"
        )
    for other, other_grid in grids.items():
        if abs(_phase(other_grid) - phase) > CENTER_TOLERANCE:
            raise SolaError(
                f"video {other!r}: its first snippet is centered {_phase(other_grid):g} strides after the start, but "
                f"that of {video!r} {phase:g}; ActionFormer and OpenTAD need one value for all: time all by --fps"
            )
    values = grid.stride, grid.offset + grid.window / 2
    fractions = [Fraction(value).limit_denominator(MAX_PARTS) for value in values]
    parts = math.lcm(*(fraction.denominator for fraction in fractions))
    errors = (
        abs(fraction - value) - FRACTION_TOLERANCE * value for fraction, value in zip(fractions, values, strict=True)
    )
    if parts > MAX_PARTS or any(error > 0 for error in errors):
        raise SolaError(
            f"video {video!r}: a stride of {values[0]!r} frames and a first center at frame {values[1]!r}, but OpenTAD "
            f"needs integers; expected multiples of a common fraction of a frame, at least 1/{MAX_PARTS}"
        )
    stride, first = (int(fraction * parts) for fraction in fractions)
    fps = {name: other.fps * parts * (grid.stride / other.stride) for name, other in grids.items()}
    return Clock(stride, first, fps)


def _phase(grid: SnippetGrid) -> float:
    """Return the center of the first snippet (strides)."""
    return -grid.index(0.0)
