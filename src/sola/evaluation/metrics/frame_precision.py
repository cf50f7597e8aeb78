"""Average precision of the classes of single frames, which may have several (MultiTHUMOS, Charades)."""

import numpy as np
from jaxtyping import Bool, Float


def frame_average_precision(scores: Float[np.ndarray, " frames"], present: Bool[np.ndarray, " frames"]) -> float:
    """Return the mean of the precision at each frame that has the class, in the order of scores; NaN if none has it.

    Equal scores keep the order of the frames. Equal to `Charades_v1_localize` (Sigurdsson et al., ECCV 2016).

    >>> frame_average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    0.8333333333333333
    """
    hit = present[np.argsort(-scores, kind="stable")]
    if not hit.any():
        return float("nan")
    rank = np.flatnonzero(hit) + 1
    return float((np.arange(1, len(rank) + 1) / rank).mean())
