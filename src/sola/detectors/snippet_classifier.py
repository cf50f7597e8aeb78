"""Classes of class-agnostic proposals from their snippets, without an external video classifier."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax

from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.snippet_labels import label_videos, reader, unit_vectors
from sola.training.linear import CPU, fit_sgd

BATCH = 256
"""Snippets per step."""
MIN_STEPS = 4000
"""Minimum number of steps where a snippet has several classes.

In fewer steps a class is less likely in its own snippets than a more frequent class that is not there. A snippet of one
class does not need them: that class is the likeliest long before.
"""


@dataclass(frozen=True, eq=False)
class SnippetClassifier:
    """A linear classifier of L2-normalized action snippets."""

    weight: Float[np.ndarray, "channels classes"]
    bias: Float[np.ndarray, " classes"]

    def probabilities(self, features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time classes"]:
        """Return the probability of each class for each snippet."""
        chances: np.ndarray = softmax(unit_vectors(features) @ self.weight + self.bias, axis=1)
        return chances


def fit_snippet_classifier(data: Dataset, *, seed: int, epochs: int, device: torch.device = CPU) -> SnippetClassifier:
    """Fit softmax regression on the action snippets of annotated videos: the classifier of linear evaluation.

    Where a snippet has several classes, there are as many epochs as `MIN_STEPS` take, if those are more.

    Raises SolaError for videos without both action and background, or without classes.
    """
    readable = data.readable()
    labeled = label_videos(readable)
    if not data.classes:
        raise SolaError("the annotations have no class: there is nothing for a snippet classifier to learn")
    values = labeled.stack(reader(readable))
    if (labeled.sets.sum(axis=1) > 1).any():
        epochs = max(epochs, math.ceil(MIN_STEPS / math.ceil(len(values) / BATCH)))
    fitted = fit_sgd(values, labeled.flat_labels, seed=seed, epochs=epochs, batch=BATCH, device=device)
    return SnippetClassifier(fitted.weight[:, 1:], fitted.bias[1:])
