"""Snippet times as ActionFormer and OpenTAD count them: whole frames, the same for all videos but for fps.

Ours: the center of snippet i lies at (offset + i·stride + window/2) / fps seconds, its grid's numbers.
ActionFormer (libs/datasets/anet.py, libs/modeling/meta_archs.py): (i·feat_stride + num_frames/2) / fps.
OpenTAD (opentad/datasets/anet.py, convert_to_seconds): (i·snippet_stride + offset_frames) / fps, the first two cut to
whole numbers. So num_frames is no window there, and offset_frames no offset: both are where the first center lies.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sola.core.errors import SolaError
from sola.data.timing import SnippetGrid

FINEST = 1000
"""Parts that a frame may be cut into so that strides and offsets become whole."""
EXACT = 1e-9
"""Relative error of a number that is taken for a fraction."""
ALIKE = 1e-6
"""Snippets by which the videos' first centers may differ and be taken for one."""


@dataclass(frozen=True)
class Clock:
    """Snippet i of every video is centered at (i · stride + first) / fps seconds, fps being the video's own.

    A frame of this clock is one of the video's, or the same part of it everywhere where that alone is whole.
    """

    stride: int
    """Frames from one snippet to the next: feat_stride, feature_stride."""
    first: int
    """Frames from the beginning of the video to the center of its first snippet: offset_frames, num_frames / 2."""
    fps: Mapping[str, float]
    """Frames a second, by video."""


def common_clock(grids: Mapping[str, SnippetGrid]) -> Clock:
    """Return the clock that gives every snippet of every video the seconds that its grid does.

    A stride of 1.5 frames is 3 halves of a frame, and fps is doubled with it; a video whose duration alone times its
    snippets gets the fps that makes it so.

    Raises SolaError naming the video when there is no such clock: the first snippets are not centered at the same
    share of a stride, one is centered before its video begins, or no part of a frame down to 1/1000 makes all whole.
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
    """Strides from the beginning of the video to the center of its first snippet."""
    return -grid.index(0.0)
