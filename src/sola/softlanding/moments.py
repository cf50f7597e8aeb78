"""Second moments of features: within videos, between videos, and between successive snippets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError

Video = Float[np.ndarray, "_ channels"]
"""Features of a video [time, channels]; videos may differ in length but not in channels."""
Square = Float[np.ndarray, "channels channels"]


@dataclass(frozen=True)
class Moments:
    """Mean and variances of the snippets of a set of videos."""

    mean: Float[np.ndarray, " channels"]
    """Mean of all snippets."""
    covariance: Square
    """Covariance within videos, with the mean of each video subtracted from its snippets."""
    difference_covariance: Square
    """Covariance of the differences between successive snippets."""
    between: float
    """Variance of the video means, weighted by video length and summed over channels."""
    scene_share: float
    """Share of the variance of the video means that comes from the scene, 0 to 1.

    The mean of a video is its scene plus its actions. The actions differ between the two halves of a video and the
    scene does not. So the share is the covariance of the two half means divided by the variance of the whole means. It
    is 1 for a single video.
    """


def video_moments(videos: Iterable[Video]) -> Moments:
    """Compute the moments in one pass over the videos.

    Raises:
        SolaError: if no video has two snippets.
    """
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
        raise SolaError("no training video has two snippets; expected at least one video with two or more")
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
    """Return the eigenvectors of the `count` largest eigenvalues, in descending order, each with a non-negative sum."""
    _, vectors = np.linalg.eigh(moments)
    chosen: Float[np.ndarray, "channels count"] = vectors[:, ::-1][:, :count]
    return chosen * np.where(chosen.sum(axis=0) < 0, -1.0, 1.0)


def whitening(covariance: Square, shrinkage: float) -> Square:
    """Return the inverse square root of a covariance; `shrinkage` times its mean variance is added to each variance."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0.0) + (shrinkage * float(values.mean()) or 1.0)
    root: Square = (vectors / np.sqrt(values)) @ vectors.T
    return root
