"""Second moments of features: within videos, between videos, and of successive snippets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError

Video = Float[np.ndarray, "_ channels"]
"""[time, channels]; videos of one set differ in length, not in width."""
Square = Float[np.ndarray, "channels channels"]


@dataclass(frozen=True)
class Moments:
    """Mean and variances of the snippets of videos."""

    mean: Float[np.ndarray, " channels"]
    """Mean of all snippets."""
    covariance: Square
    """Covariance within videos: of the snippets less the mean of their video."""
    difference_covariance: Square
    """Covariance of the differences of successive snippets."""
    between: float
    """Variance of the snippets' video means, summed over channels."""
    scene_share: float
    """Share of the variance of the videos' means that is the scene, 0 to 1.

    A mean is the scene plus what happens in the video. What happens differs between the first and the second half, the
    scene does not: the share is the covariance of the means of the two halves over the variance of the whole. 1 for a
    single video.
    """


def video_moments(videos: Iterable[Video]) -> Moments:
    """Return the moments in one pass over the videos. Raises SolaError if no video has two snippets."""
    total: Any = 0.0
    squares: Any = 0.0
    difference_squares: Any = 0.0
    lengths, halves, means = [], [], []
    for video in videos:
        values = video.astype(np.float64)
        means.append(values.mean(axis=0))
        lengths.append(len(values))
        halves.append([half.mean(axis=0) for half in np.array_split(values, min(2, len(values)))])
        total = total + values.sum(axis=0)
        values -= means[-1]
        squares = squares + values.T @ values
        step = np.diff(values, axis=0)
        difference_squares = difference_squares + step.T @ step
    snippets, differences = sum(lengths), sum(length - 1 for length in lengths)
    if not differences:
        raise SolaError("no training video has two snippets; expected at least one such video")
    mean = total / snippets
    return Moments(
        mean,
        squares / snippets,
        difference_squares / differences,
        float(np.square(np.array(means) - mean).sum(axis=1) @ lengths) / snippets,
        _scene_share(np.array([pair for pair in halves if len(pair) == 2]) - mean),
    )


def _scene_share(halves: Float[np.ndarray, "videos 2 channels"]) -> float:
    common = float((halves[:, 0] * halves[:, 1]).sum())
    whole = float(np.square(halves.mean(axis=1)).sum())
    return min(max(common / whole, 0.0), 1.0) if len(halves) > 1 and whole else 1.0


def leading(moments: Square, count: int) -> Float[np.ndarray, "channels count"]:
    """Return the `count` eigenvectors of the largest eigenvalues, the largest first, each with a positive sum."""
    _, vectors = np.linalg.eigh(moments)
    chosen: Float[np.ndarray, "channels count"] = vectors[:, ::-1][:, :count]
    return chosen * np.where(chosen.sum(axis=0) < 0, -1.0, 1.0)


def whitening(covariance: Square, shrinkage: float) -> Square:
    """Return the inverse square root of a covariance; `shrinkage` times its mean variance is added to each variance."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0.0) + (shrinkage * float(values.mean()) or 1.0)
    root: Square = (vectors / np.sqrt(values)) @ vectors.T
    return root
