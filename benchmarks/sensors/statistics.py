"""Features of sensor recordings: statistics of short windows. No parameter was chosen by its effect on a recipe."""

import numpy as np
from jaxtyping import Float

STRIDE, WINDOW = 10, 50
"""Stride and window of a snippet (samples)."""
BANDS = ((1, 2), (2, 4), (4, 8), (8, 25))
"""Frequency bands (cycles per window)."""


def features(samples: Float[np.ndarray, "time axes"]) -> Float[np.ndarray, "snippets channels"]:
    """Return mean, deviation, minimum, maximum, and the amplitude in each band, of every axis in every snippet."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW, axis=0)[::STRIDE]
    centered = windows - windows.mean(-1, keepdims=True)
    amplitude = np.abs(np.fft.rfft(centered, axis=-1)) / WINDOW
    bands = [amplitude[..., low:high].sum(-1) for low, high in BANDS]
    statistics = (windows.mean(-1), windows.std(-1), windows.min(-1), windows.max(-1), *bands)
    return np.concatenate(statistics, axis=1).astype(np.float32)
