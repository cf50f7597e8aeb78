"""Second moments of training features, in one pass over the videos."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError

Transform = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time features"]]
"""Transform of a video's features; float32 stays float32."""


@dataclass(frozen=True)
class Moments:
    """Mean of all snippets, covariance within videos, and covariance of successive differences."""

    mean: Float[np.ndarray, " channels"]
    covariance: Float[np.ndarray, "channels channels"]
    difference_covariance: Float[np.ndarray, "channels channels"]


def within_video_moments(videos: Iterable[Float[np.ndarray, "_ channels"]]) -> Moments:
    """Return the moments in one pass; raises SolaError when there is no video with two snippets."""
    total: Any = 0.0
    squares: Any = 0.0
    difference_squares: Any = 0.0
    snippets = differences = 0
    for video in videos:
        values = video.astype(np.float64)
        mean = values.mean(axis=0)
        total = total + values.sum(axis=0)
        values -= mean
        squares = squares + values.T @ values
        step = np.diff(values, axis=0)
        difference_squares = difference_squares + step.T @ step
        snippets += len(values)
        differences += len(step)
    if not differences:
        raise SolaError("no training video has two snippets; the fitted controls need at least one such video")
    return Moments(total / snippets, squares / snippets, difference_squares / differences)
