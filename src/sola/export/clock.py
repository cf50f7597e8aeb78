"""Snippet times of ActionFormer and OpenTAD: whole frames, the same for all videos except for fps.

The center of snippet i, in seconds:
sola: (offset + i·stride + window/2) / fps.
ActionFormer (libs/datasets/anet.py, libs/modeling/meta_archs.py): (i·feat_stride + num_frames/2) / fps.
OpenTAD (opentad/datasets/anet.py, convert_to_seconds): (i·snippet_stride + offset_frames) / fps, in whole frames.
So num_frames/2 and offset_frames are both the center of the first snippet.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sola.core.errors import SolaError
from sola.data.timing import SnippetGrid

FINEST = 1000
"""Largest number of parts of a frame that makes strides and offsets whole numbers."""
EXACT = 1e-9
"""Largest relative error of a fraction."""
ALIKE = 1e-6
"""Largest difference in snippets between the first centers of videos."""


@dataclass(frozen=True)
class Clock:
    """The center of snippet i is at (i · stride + first) / fps seconds; frames may be parts of the videos' frames."""

    stride: int
    """Frames between two snippets: feat_stride, feature_stride."""
    first: int
    """Center of the first snippet in frames: offset_frames, num_frames / 2."""
    fps: Mapping[str, float]
    """Frames per second by video."""


def common_clock(grids: Mapping[str, SnippetGrid]) -> Clock:
    """Return the clock that gives every snippet the time of its grid; a stride of 1.5 frames becomes 3 half frames.

    Raises SolaError if there is none: the first centers differ between videos (in strides) or lie before the start of
    the video, or no part of a frame down to 1/1000 makes all numbers whole.
    """
    video, grid = next(iter(grids.items()))
    phase = _phase(grid)
    if phase < 0:
        raise SolaError(
            f"video {video!r}: its first snippet is centered {-phase:g} strides before the video begins, which "
            "ActionFormer cannot express; correct offset and window, or drop the snippets before the beginning"
        )
    for other, its in grids.items():
        if abs(_phase(its) - phase) > ALIKE:
            raise SolaError(
                f"video {other!r}: its first snippet is centered {_phase(its):g} strides after the beginning, that of "
                f"{video!r} {phase:g}; ActionFormer and OpenTAD know one figure for all: time all by --fps"
            )
    values = grid.stride, grid.offset + grid.window / 2
    fractions = [Fraction(value).limit_denominator(FINEST) for value in values]
    parts = math.lcm(*(fraction.denominator for fraction in fractions))
    exact = all(abs(fraction - value) <= EXACT * value for fraction, value in zip(fractions, values, strict=True))
    if parts > FINEST or not exact:
        raise SolaError(
            f"video {video!r}: a stride of {values[0]!r} frames and a first center at frame {values[1]!r}, where "
            f"OpenTAD has whole numbers; expected multiples of one part of a frame, 1/{FINEST} at the finest"
        )
    stride, first = (int(fraction * parts) for fraction in fractions)
    return Clock(stride, first, {name: its.fps * parts * (grid.stride / its.stride) for name, its in grids.items()})


def _phase(grid: SnippetGrid) -> float:
    """Return the center of the first snippet in strides."""
    return -grid.index(0.0)
