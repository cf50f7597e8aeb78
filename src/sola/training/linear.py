"""Linear classifiers on frozen snippet features, fitted by SGD (Table 4b of the paper) or by ridge regression.

A classifier has one output for action against background, and one output per class, fitted to action snippets only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from sola.data.segments import BACKGROUND
from sola.data.snippet_labels import SnippetLabels

FOLDS = 5
"""Number of cross-validation folds for the choice of the ridge penalty."""

PENALTIES = tuple(10.0**exponent for exponent in np.arange(-7, 1.5, 0.5).tolist())
"""Candidate ridge penalties."""

SINGLE_VIDEO_PENALTY = 1e-3
"""Ridge penalty for a single labeled video, where cross-validation is not possible."""

CPU = torch.device("cpu")

SLICE = 16384
"""Number of snippets converted to float64 at a time."""

Encode = Callable[[Int[np.ndarray, " snippets"]], Float[np.ndarray, "snippets outputs"]]
"""Function that returns the regression targets for rows of snippets."""


@dataclass(frozen=True)
class LinearClassifier:
    """A linear classifier; output 0 is the score for action against background, the others are class scores."""

    weight: Float[np.ndarray, "channels outputs"]
    bias: Float[np.ndarray, " outputs"]

    def action(self, features: Float[np.ndarray, "snippets channels"]) -> Float[np.ndarray, " snippets"]:
        """Return the action scores; a score above 0 means action."""
        score: Float[np.ndarray, " snippets"] = features @ self.weight[:, 0] + self.bias[0]
        return score

    def classes(self, features: Float[np.ndarray, "snippets channels"]) -> Int[np.ndarray, " snippets"]:
        """Return the index of the most likely class of every snippet, including background snippets."""
        best: Int[np.ndarray, " snippets"] = np.argmax(features @ self.weight[:, 1:] + self.bias[1:], axis=1)
        return best


def fit_sgd(
    features: Float[np.ndarray, "snippets channels"],
    labels: SnippetLabels,
    *,
    seed: int,
    epochs: int = 100,
    batch: int = 256,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    device: torch.device = CPU,
) -> LinearClassifier:
    """Fit logistic (action) and softmax (class) regression by SGD with momentum; the defaults are from Table 4b.

    The loss of a batch is the mean logistic loss plus the mean softmax loss over its action snippets, in float32. The
    classes of a snippet share its softmax target equally. The initial weights and the order of the snippets in each
    epoch depend only on `seed`, not on the device. The gradients are computed by hand because autograd would take most
    of the time of a step.
    """
    generator = np.random.default_rng(seed)
    count, channels = features.shape
    outputs = 1 + labels.sets.shape[1]
    bound = channels**-0.5  # PyTorch's initialization of a linear layer
    initial = generator.uniform(-bound, bound, (outputs, channels)).astype(np.float32)
    weight = torch.from_numpy(initial.T).contiguous().to(device)
    bias = torch.zeros(outputs, device=device)
    weight_velocity, bias_velocity = torch.zeros_like(weight), torch.zeros_like(bias)
    inputs = torch.from_numpy(np.asarray(features, np.float32)).to(device)
    table = _targets(labels.sets).to(device)
    index = torch.from_numpy(labels.index).to(device)
    for _ in range(epochs):
        order = torch.from_numpy(generator.permutation(count)).to(device)
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            x, target = inputs[chosen], table[index[chosen]]
            action = target[:, :1]
            error = torch.addmm(bias, x, weight)
            error[:, 0].sigmoid_()
            error[:, 1:] = error[:, 1:].softmax(dim=1)
            error -= target
            error[:, 0] /= len(chosen)
            error[:, 1:] *= action / action.sum().clamp(min=1)
            weight_velocity.mul_(momentum).addmm_(x.T, error)
            bias_velocity.mul_(momentum).add_(error.sum(dim=0))
            weight.add_(weight_velocity, alpha=-learning_rate)
            bias.add_(bias_velocity, alpha=-learning_rate)
    return LinearClassifier(weight.cpu().numpy(), bias.cpu().numpy())


def _targets(sets: Bool[np.ndarray, "sets classes"]) -> Float[torch.Tensor, "_ outputs"]:
    """Return the targets [action, classes...] of each set of classes, and a last row of zeros for the background."""
    table = np.zeros((len(sets) + 1, 1 + sets.shape[1]), np.float32)
    table[:BACKGROUND, 0] = 1  # BACKGROUND is -1, the last row
    table[:BACKGROUND, 1:] = sets / sets.sum(axis=1, keepdims=True)
    return torch.from_numpy(table)


def video_folds(lengths: Sequence[int], folds: int = FOLDS) -> Int[np.ndarray, " snippets"]:
    """Return the fold of every snippet; videos are assigned to folds in turn and never split."""
    return np.repeat(np.arange(len(lengths)) % folds, lengths)


def fit_ridge(
    features: Float[np.ndarray, "snippets channels"],
    labels: SnippetLabels,
    *,
    lengths: Sequence[int],
) -> LinearClassifier:
    """Fit ridge regression to targets of ±1: action against background, and each class against the others.

    The objective is mean squared error + λ‖w‖², without a penalty on the bias. The penalty λ is chosen from `PENALTIES`
    by the squared error on held-out videos, separately for the action and the classes. Each class of a snippet has the
    target +1. `lengths` holds the number of snippets of each video, in order.
    """
    fold = video_folds(lengths)
    action = labels.action

    def binary(rows: Int[np.ndarray, " snippets"]) -> Float[np.ndarray, "snippets 1"]:
        return np.where(action[rows], 1.0, -1.0)[:, None]

    def one_against_others(rows: Int[np.ndarray, " snippets"]) -> Float[np.ndarray, "snippets classes"]:
        return np.where(labels.sets[labels.index[rows]], 1.0, -1.0)

    def fit(
        encode: Encode, selected: Bool[np.ndarray, " snippets"]
    ) -> tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]:
        inputs, basis = features, None
        if selected.sum() < features.shape[1]:  # the weights are in the span of the snippets, which is smaller
            basis, _ = np.linalg.qr(features[selected].astype(np.float64).T)
            inputs = features @ basis
        rows = [np.flatnonzero(selected & (fold == index)) for index in np.unique(fold)]
        weight, bias = _cross_validated([_Sums.of(inputs, encode, chosen) for chosen in rows if len(chosen)])
        return (weight if basis is None else basis @ weight), bias

    weight, bias = fit(binary, np.ones_like(action))
    class_weight, class_bias = fit(one_against_others, action)
    return LinearClassifier(np.hstack((weight, class_weight)), np.hstack((bias, class_bias)))


@dataclass(frozen=True)
class _Sums:
    """Sums over snippets that determine a least-squares fit and its error."""

    count: float
    x: Float[np.ndarray, " channels"]
    y: Float[np.ndarray, " outputs"]
    xx: Float[np.ndarray, "channels channels"]
    xy: Float[np.ndarray, "channels outputs"]
    yy: float

    @classmethod
    def of(
        cls,
        features: Float[np.ndarray, "snippets channels"],
        encode: Encode,
        rows: Int[np.ndarray, " chosen"],
    ) -> "_Sums":
        """Sum over the chosen rows, one slice at a time to save memory."""
        total: _Sums | None = None
        for start in range(0, len(rows), SLICE):
            chosen = rows[start : start + SLICE]
            x, y = features[chosen].astype(np.float64), encode(chosen)
            part = cls(float(len(x)), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, float((y * y).sum()))
            total = part if total is None else total.plus(part)
        assert total is not None, "no rows"
        return total

    def plus(self, other: "_Sums", sign: int = 1) -> "_Sums":
        """Return the sums with those of `other` added, or subtracted if `sign` is -1."""
        return _Sums(*(value + sign * getattr(other, name) for name, value in vars(self).items()))

    def solve(
        self, penalties: Sequence[float]
    ) -> list[tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]]:
        """Return weights and biases for each penalty, from a single eigendecomposition."""
        x, y = self.x / self.count, self.y / self.count
        covariance = torch.from_numpy(self.xx / self.count - np.outer(x, x))
        values, vectors = (tensor.numpy() for tensor in torch.linalg.eigh(covariance))  # faster than NumPy
        projected = vectors.T @ (self.xy / self.count - np.outer(x, y))
        fits = []
        for penalty in penalties:
            weight = vectors @ (projected / (np.maximum(values, 0.0) + penalty)[:, None])
            fits.append((weight, y - x @ weight))
        return fits

    def squared_error(
        self, weight: Float[np.ndarray, "channels outputs"], bias: Float[np.ndarray, " outputs"]
    ) -> float:
        """Return Σ‖y − w'x − b‖² over the snippets."""
        fit = np.sum(weight * (self.xx @ weight)) + 2 * bias @ (self.x @ weight) + self.count * bias @ bias
        return float(fit - 2 * np.sum(weight * self.xy) - 2 * bias @ self.y + self.yy)


def _cross_validated(
    folds: Sequence[_Sums],
) -> tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]:
    """Return weights and biases for the penalty with the lowest cross-validated squared error."""
    total = folds[0]
    for fold in folds[1:]:
        total = total.plus(fold)
    penalty = SINGLE_VIDEO_PENALTY
    if len(folds) > 1:
        errors = np.zeros(len(PENALTIES))
        for held_out in folds:
            fits = total.plus(held_out, sign=-1).solve(PENALTIES)
            errors += [held_out.squared_error(weight, bias) for weight, bias in fits]
        penalty = PENALTIES[int(np.argmin(errors))]
    return total.solve([penalty])[0]
