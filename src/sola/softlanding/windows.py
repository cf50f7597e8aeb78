"""Training windows of consecutive snippets."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int


def window_length(positions: int, step: int, margin: int) -> int:
    """Return the length of a window (snippets) with positions `step` apart and `margin` on each side.

    With 8 positions and margin 4, it is 23 at step 2 and 65 at step 8.
    """
    return (positions - 1) * step + 1 + 2 * margin


def longest_step(length: int, positions: int, margin: int) -> int:
    """Return the longest step whose window fits in a video of `length` snippets, or 0 if there is none."""
    return max((length - window_length(positions, 0, margin)) // (positions - 1), 0)


def fitting_step(lengths: Sequence[int], positions: int, margin: int) -> int:
    """Return the longest step whose window fits in 80% of videos with these lengths (snippets), or 0 if none."""
    return longest_step(int(np.quantile(lengths, 0.2, method="lower")), positions, margin)


def draw_windows(
    lengths: Int[np.ndarray, " videos"], window: int, per_video: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " draws"], Int[np.ndarray, " draws"]]:
    """Draw windows from each video that is long enough, and return their videos and first snippets in random order."""
    eligible = np.flatnonzero(lengths >= window)
    video = generator.permutation(np.repeat(eligible, per_video))
    return video, generator.integers(0, lengths[video] - window + 1)


def neighborhoods(
    start: Int[np.ndarray, " draws"], positions: int, step: int, margin: int, reach: int
) -> Int[np.ndarray, "draws positions neighbors"]:
    """Return the snippets within `reach` of each position of windows that begin at `start`."""
    center = start[:, None] + margin + step * np.arange(positions)
    return center[:, :, None] + np.arange(-reach, reach + 1)
