"""A snippet classifier that assigns classes to proposals, without an external video classifier."""

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
"""Minimum number of steps if a snippet has several classes.

With fewer steps, a rare class gets a lower probability in its own snippets than a frequent class that is absent. Fewer
steps are enough if each snippet has one class, because that class soon gets the highest probability.
"""


@dataclass(frozen=True, eq=False)
class SnippetClassifier:
    """A linear classifier of L2-normalized action snippets."""

    weight: Float[np.ndarray, "channels classes"]
    bias: Float[np.ndarray, " classes"]

    def probabilities(self, features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time classes"]:
        """Return the probability of each class for each snippet."""
        probabilities: np.ndarray = softmax(unit_vectors(features) @ self.weight + self.bias, axis=1)
        return probabilities


def fit_snippet_classifier(data: Dataset, *, seed: int, epochs: int, device: torch.device = CPU) -> SnippetClassifier:
    """Fit softmax regression to the action snippets of annotated videos, like the classifier of linear evaluation.

    If a snippet has several classes, the number of epochs is increased to train for at least `MIN_STEPS` steps.

    Raises:
        SolaError: if the videos do not have both action and background, or if there are no classes.
    """
    readable = data.readable()
    labeled = label_videos(readable)
    if not data.classes:
        raise SolaError("the annotations have no classes; a snippet classifier needs at least one")
    values = labeled.stack(reader(readable))
    if (labeled.sets.sum(axis=1) > 1).any():
        epochs = max(epochs, math.ceil(MIN_STEPS / math.ceil(len(values) / BATCH)))
    fitted = fit_sgd(values, labeled.flat_labels, seed=seed, epochs=epochs, batch=BATCH, device=device)
    return SnippetClassifier(fitted.weight[:, 1:], fitted.bias[1:])
