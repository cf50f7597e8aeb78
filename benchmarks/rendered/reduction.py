"""Reduction of encoder features to principal components of the training videos."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError


@dataclass(frozen=True)
class Reduction:
    """Projection onto the directions of largest variance, one per column."""

    mean: Float[np.ndarray, " channels"]
    directions: Float[np.ndarray, "channels kept"]
    share: float
    """Share of the variance retained."""

    def __call__(self, features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time kept"]:
        """Project the features and return float16."""
        return ((features.astype(np.float64) - self.mean) @ self.directions).astype(np.float16)


def fit_reduction(videos: Iterable[Float[np.ndarray, "_ channels"]], kept: int) -> Reduction:
    """Fit the projection on the snippets of all videos; the largest entry of each direction is positive.

    Raises SolaError if there are fewer channels than `kept`, or no videos.
    """
    count, total, products = 0, np.zeros(()), np.zeros(())
    for video in videos:
        x = video.astype(np.float64)
        count, total, products = count + len(x), total + x.sum(axis=0), products + x.T @ x
    if not count or len(total) < kept:
        raise SolaError(f"{count} snippets: expected at least one, with at least {kept} channels")
    mean = total / count
    variance, directions = np.linalg.eigh(products / count - np.outer(mean, mean))
    directions = directions[:, ::-1][:, :kept]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(kept)])
    return Reduction(mean, directions, float(variance[::-1][:kept].sum() / variance.sum()))
