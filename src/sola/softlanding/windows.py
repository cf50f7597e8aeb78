"""Windows of consecutive snippets: how long, where drawn, which snippets of them are looked at."""

import numpy as np
from jaxtyping import Int


def window_length(positions: int, step: int, margin: int) -> int:
    """Snippets in a training window: `positions` snippets `step` apart, and `margin` more on either side.

    23 at step 2 and 65 at step 8, with 8 positions and margin 4.
    """
    return (positions - 1) * step + 1 + 2 * margin


def draw_windows(
    lengths: Int[np.ndarray, " videos"], window: int, per_video: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " draws"], Int[np.ndarray, " draws"]]:
    """Draw `per_video` windows from each video that holds one, in random order: (video, first snippet) of each."""
    eligible = np.flatnonzero(lengths >= window)
    video = generator.permutation(np.repeat(eligible, per_video))
    return video, generator.integers(0, lengths[video] - window + 1)


def neighborhoods(
    start: Int[np.ndarray, " draws"], positions: int, step: int, margin: int, reach: int
) -> Int[np.ndarray, "draws positions neighbors"]:
    """The snippets that a module of that reach sees at each looked-at position of windows that begin at `start`."""
    center = start[:, None] + margin + step * np.arange(positions)
    return center[:, :, None] + np.arange(-reach, reach + 1)
