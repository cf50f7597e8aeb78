"""Linear classifiers on frozen snippet features, fitted by SGD (Table 4b of the paper) or by ridge regression.

They have an output for action against background, and one per class, which is fitted to action snippets only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from sola.data.snippet_labels import SnippetLabels

FOLDS = 5
"""Groups of training videos for the choice of the ridge penalty by cross-validation."""

PENALTIES = tuple(10.0**exponent for exponent in np.arange(-7, 1.5, 0.5).tolist())
"""Candidates for the ridge penalty."""

LONE_VIDEO_PENALTY = 1e-3
"""Ridge penalty for one labeled video, which cannot be cross-validated."""

SLICE = 16384
"""Number of snippets that are converted to float64 at a time."""

Encode = Callable[[Int[np.ndarray, " snippets"]], Float[np.ndarray, "snippets outputs"]]
"""Regression targets of the snippets in these rows."""


@dataclass(frozen=True)
class LinearClassifier:
    """Weights and biases; output 0 is the score for action against background, the others are for the classes."""

    weight: Float[np.ndarray, "channels outputs"]
    bias: Float[np.ndarray, " outputs"]

    def action(self, features: Float[np.ndarray, "snippets channels"]) -> Float[np.ndarray, " snippets"]:
        """Return the scores for action; above 0 means action."""
        score: Float[np.ndarray, " snippets"] = features @ self.weight[:, 0] + self.bias[0]
        return score

    def classes(self, features: Float[np.ndarray, "snippets channels"]) -> Int[np.ndarray, " snippets"]:
        """Return the index of the most likely class of every snippet, whether action or not."""
        likeliest: Int[np.ndarray, " snippets"] = np.argmax(features @ self.weight[:, 1:] + self.bias[1:], axis=1)
        return likeliest


def fit_sgd(
    features: Float[np.ndarray, "snippets channels"],
    labels: SnippetLabels,
    *,
    seed: int,
    epochs: int = 100,
    batch: int = 256,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
) -> LinearClassifier:
    """Fit logistic (action) and softmax (class) regression by SGD with momentum; the defaults are those of Table 4b.

    The loss of a batch of float32 snippets is the mean logistic loss plus the mean softmax loss over its action
    snippets. The classes of a snippet share its softmax target equally. The initial weights and the order of the
    snippets in each epoch are drawn from `seed`. Gradients are written out, since autograd would take most of the time
    of a step.
    """
    generator = np.random.default_rng(seed)
    count, channels = features.shape
    class_count = labels.sets.shape[1]
    bound = channels**-0.5  # PyTorch's initialization of a linear layer
    # [outputs, channels] for the softmax, and column-major, which is fastest in BLAS for so small a matrix
    weight = np.asfortranarray(generator.uniform(-bound, bound, (1 + class_count, channels)), np.float32)
    bias = np.zeros((1 + class_count, 1), np.float32)
    weight_velocity, bias_velocity = np.zeros_like(weight), np.zeros_like(bias)
    action = labels.action.astype(np.float32)
    targets = _targets(labels.sets)
    columns = np.arange(batch)
    for _ in range(epochs):
        order = generator.permutation(count)
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            x, is_action, index = features.take(chosen, axis=0), action.take(chosen), labels.index.take(chosen)
            error = weight @ x.T
            error += bias
            binary, classes = error[0], error[1:]
            expit(binary, out=binary)
            binary -= is_action
            binary /= len(chosen)
            classes -= classes.max(axis=0)
            np.exp(classes, out=classes)
            classes /= classes.sum(axis=0)
            for member, share in targets:
                classes[member.take(index), columns[: len(chosen)]] -= share.take(index)
            classes *= is_action / max(is_action.sum(), 1.0)
            weight_velocity *= momentum
            weight_velocity += error @ x
            bias_velocity *= momentum
            bias_velocity += error.sum(axis=1, keepdims=True)
            weight -= learning_rate * weight_velocity
            bias -= learning_rate * bias_velocity
    return LinearClassifier(np.ascontiguousarray(weight.T), bias[:, 0])


def _targets(
    sets: Bool[np.ndarray, "sets classes"],
) -> list[tuple[Int[np.ndarray, " sets"], Float[np.ndarray, " sets"]]]:
    """Return the first class of each set and its share of the target, then the second, and so on.

    The share of a class that a small set lacks is 0.
    """
    size = sets.sum(axis=1)
    member = np.argsort(~sets, axis=1, kind="stable")
    return [
        (member[:, rank], np.where(rank < size, 1 / size, 0).astype(np.float32)) for rank in range(size.max(initial=0))
    ]


def video_folds(lengths: Sequence[int], folds: int = FOLDS) -> Int[np.ndarray, " snippets"]:
    """Return the fold of every snippet; videos are assigned to folds in turn and never split."""
    return np.repeat(np.arange(len(lengths)) % folds, lengths)


def fit_ridge(
    features: Float[np.ndarray, "snippets channels"],
    labels: SnippetLabels,
    *,
    lengths: Sequence[int],
) -> LinearClassifier:
    """Fit ridge regression to ±1 in closed form: action against background, and each class against the others.

    The penalty λ in mean squared error + λ‖w‖² (the bias is free) is chosen from `PENALTIES` by the squared error on
    held-out videos, for the action and for the classes. Each class of a snippet has the target +1. `lengths` are the
    numbers of snippets of the videos, in order.
    """
    fold = video_folds(lengths)
    action = labels.action

    def binary(rows: Int[np.ndarray, " snippets"]) -> Float[np.ndarray, "snippets 1"]:
        return np.where(action[rows], 1.0, -1.0)[:, None]

    def one_against_others(rows: Int[np.ndarray, " snippets"]) -> Float[np.ndarray, "snippets classes"]:
        return np.where(labels.sets[labels.index[rows]], 1.0, -1.0)

    def sums(encode: Encode, learned: Bool[np.ndarray, " snippets"]) -> list[_Sums]:
        rows = [np.flatnonzero(learned & (fold == index)) for index in np.unique(fold)]
        return [_Sums.of(features, encode, chosen) for chosen in rows if len(chosen)]

    weight, bias = _converged(sums(binary, np.ones_like(action)))
    class_weight, class_bias = _converged(sums(one_against_others, action))
    return LinearClassifier(np.hstack((weight, class_weight)), np.hstack((bias, class_bias)))


@dataclass(frozen=True)
class _Sums:
    """Sums over snippets, from which a least-squares fit and its error follow."""

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
        """Sum over the chosen rows, a slice at a time to save memory."""
        total: _Sums | None = None
        for start in range(0, len(rows), SLICE):
            chosen = rows[start : start + SLICE]
            x, y = features[chosen].astype(np.float64), encode(chosen)
            part = cls(float(len(x)), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, float((y * y).sum()))
            total = part if total is None else total.plus(part)
        assert total is not None, "no rows"
        return total

    def plus(self, other: "_Sums", sign: int = 1) -> "_Sums":
        return _Sums(*(mine + sign * getattr(other, name) for name, mine in vars(self).items()))

    def solve(
        self, penalties: Sequence[float]
    ) -> list[tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]]:
        """Return weights and biases for each penalty, from one eigendecomposition."""
        x, y = self.x / self.count, self.y / self.count
        values, vectors = np.linalg.eigh(self.xx / self.count - np.outer(x, x))
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


def _converged(
    folds: Sequence[_Sums],
) -> tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]:
    """Return weights and biases at the penalty with the least cross-validated squared error."""
    total = folds[0]
    for one in folds[1:]:
        total = total.plus(one)
    penalty = LONE_VIDEO_PENALTY
    if len(folds) > 1:
        errors = np.zeros(len(PENALTIES))
        for held_out in folds:
            fits = total.plus(held_out, sign=-1).solve(PENALTIES)
            errors += [held_out.squared_error(weight, bias) for weight, bias in fits]
        penalty = PENALTIES[int(np.argmin(errors))]
    return total.solve([penalty])[0]
