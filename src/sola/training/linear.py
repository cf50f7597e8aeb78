"""Two linear classifiers on frozen snippet features: stochastic gradient descent (Table 4b) and converged ridge.

Both have one output for action against background, and one for each class, which learns from action snippets only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from sola.data.segments import BACKGROUND

FOLDS = 5
"""Groups of training videos, each held out once to choose ridge's penalty."""

PENALTIES = tuple(10.0**exponent for exponent in np.arange(-7, 1.5, 0.5).tolist())
"""The grid it is chosen from."""

LONE_VIDEO_PENALTY = 1e-3
"""The middle of the grid: one labeled video leaves none to choose by."""

SLICE = 16384
"""Snippets that are copied to float64 at a time."""

Encode = Callable[[Int[np.ndarray, " snippets"]], Float[np.ndarray, "snippets outputs"]]
"""Regression targets of labels."""


@dataclass(frozen=True)
class LinearClassifier:
    """Weights and biases of the outputs: the first says action (above 0) or background, the others the class."""

    weight: Float[np.ndarray, "channels outputs"]
    bias: Float[np.ndarray, " outputs"]

    def action(self, features: Float[np.ndarray, "snippets channels"]) -> Float[np.ndarray, " snippets"]:
        """Score for action, 0 at the decision."""
        score: Float[np.ndarray, " snippets"] = features @ self.weight[:, 0] + self.bias[0]
        return score

    def classes(self, features: Float[np.ndarray, "snippets channels"]) -> Int[np.ndarray, " snippets"]:
        """Index of the likeliest class, taking each snippet for an action."""
        likeliest: Int[np.ndarray, " snippets"] = np.argmax(features @ self.weight[:, 1:] + self.bias[1:], axis=1)
        return likeliest


def fit_sgd(
    features: Float[np.ndarray, "snippets channels"],
    labels: Int[np.ndarray, " snippets"],
    class_count: int,
    *,
    seed: int,
    epochs: int = 100,
    batch: int = 256,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
) -> LinearClassifier:
    """Fit logistic (action) and softmax (class) regression by SGD with momentum; the defaults are Table 4b's.

    An epoch visits every snippet once, in an order drawn from `seed`, as are the first weights. The loss of a batch is
    the mean logistic loss plus the mean softmax loss over its action snippets. Gradients are written out: a step is a
    few small products, of which an autograd tape would be the larger part.

    Args:
        features: frozen features, float32.
        labels: class index of each snippet, `BACKGROUND` for none.
        class_count: number of classes; one that `labels` lacks is learned as never there.
        seed: of the first weights and of the order.
        epochs: passes over the snippets.
        batch: snippets a step; the last of an epoch has what is left.
        learning_rate: step size.
        momentum: share of the last step's direction that is kept.
    """
    generator = np.random.default_rng(seed)
    count, channels = features.shape
    bound = channels**-0.5  # the usual first weights of a linear layer
    # outputs lead, so that softmax runs along rows; column-major, as BLAS multiplies so small a matrix fastest
    weight = np.asfortranarray(generator.uniform(-bound, bound, (1 + class_count, channels)), np.float32)
    bias = np.zeros((1 + class_count, 1), np.float32)
    weight_velocity, bias_velocity = np.zeros_like(weight), np.zeros_like(bias)
    action = (labels != BACKGROUND).astype(np.float32)
    label = np.where(labels == BACKGROUND, 0, labels)
    columns = np.arange(batch)
    for _ in range(epochs):
        order = generator.permutation(count)
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            x, is_action = features.take(chosen, axis=0), action.take(chosen)
            error = weight @ x.T
            error += bias
            binary, classes = error[0], error[1:]
            expit(binary, out=binary)
            binary -= is_action
            binary /= len(chosen)
            classes -= classes.max(axis=0)
            np.exp(classes, out=classes)
            classes /= classes.sum(axis=0)
            classes[label.take(chosen), columns[: len(chosen)]] -= 1
            classes *= is_action / max(is_action.sum(), 1.0)
            weight_velocity *= momentum
            weight_velocity += error @ x
            bias_velocity *= momentum
            bias_velocity += error.sum(axis=1, keepdims=True)
            weight -= learning_rate * weight_velocity
            bias -= learning_rate * bias_velocity
    return LinearClassifier(np.ascontiguousarray(weight.T), bias[:, 0])


def video_folds(lengths: Sequence[int], folds: int = FOLDS) -> Int[np.ndarray, " snippets"]:
    """Fold of every snippet; a video is never split. Videos are dealt out in turn."""
    return np.repeat(np.arange(len(lengths)) % folds, lengths)


def fit_ridge(
    features: Float[np.ndarray, "snippets channels"],
    labels: Int[np.ndarray, " snippets"],
    class_count: int,
    *,
    lengths: Sequence[int],
) -> LinearClassifier:
    """Fit ridge regression onto ±1 in closed form: action against background, and each class against the others.

    The penalty λ in mean squared error + λ‖w‖² (the bias is free) is chosen from `PENALTIES` by the squared error on
    held-out videos, once for the action and once for the classes. One Gram matrix a fold holds all that this needs.

    Args:
        features: frozen features.
        labels: class index of each snippet, `BACKGROUND` for none.
        class_count: number of classes; one that `labels` lacks is −1 everywhere, so it is never the likeliest.
        lengths: snippets of each video, in the order in which they lie in `features`.
    """
    fold = video_folds(lengths)
    action = labels != BACKGROUND

    def binary(label: Int[np.ndarray, " snippets"]) -> Float[np.ndarray, "snippets 1"]:
        return np.where(label != BACKGROUND, 1.0, -1.0)[:, None]

    def one_against_others(label: Int[np.ndarray, " snippets"]) -> Float[np.ndarray, "snippets classes"]:
        return np.where(label[:, None] == np.arange(class_count), 1.0, -1.0)

    def sums(encode: Encode, learned: Bool[np.ndarray, " snippets"]) -> list[_Sums]:
        rows = [np.flatnonzero(learned & (fold == one)) for one in np.unique(fold)]
        return [_Sums.of(features, labels, encode, chosen) for chosen in rows if len(chosen)]

    weight, bias = _converged(sums(binary, np.ones_like(action)))
    class_weight, class_bias = _converged(sums(one_against_others, action))
    return LinearClassifier(np.hstack((weight, class_weight)), np.hstack((bias, class_bias)))


@dataclass(frozen=True)
class _Sums:
    """Sums over snippets: all that a least-squares fit, and its error, depend on."""

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
        labels: Int[np.ndarray, " snippets"],
        encode: Encode,
        rows: Int[np.ndarray, " chosen"],
    ) -> "_Sums":
        """Sum over the chosen rows, a slice at a time: float64 copies of all features need not fit in memory."""
        total: _Sums | None = None
        for start in range(0, len(rows), SLICE):
            chosen = rows[start : start + SLICE]
            x, y = features[chosen].astype(np.float64), encode(labels[chosen])
            part = cls(float(len(x)), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, float((y * y).sum()))
            total = part if total is None else total.plus(part)
        assert total is not None, "no rows"
        return total

    def plus(self, other: "_Sums", sign: int = 1) -> "_Sums":
        return _Sums(*(mine + sign * getattr(other, name) for name, mine in vars(self).items()))

    def solve(
        self, penalties: Sequence[float]
    ) -> list[tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]]:
        """Weights and biases for each penalty, from one eigendecomposition."""
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
        """Σ‖y − w'x − b‖² over the snippets."""
        fit = np.sum(weight * (self.xx @ weight)) + 2 * bias @ (self.x @ weight) + self.count * bias @ bias
        return float(fit - 2 * np.sum(weight * self.xy) - 2 * bias @ self.y + self.yy)


def _converged(
    folds: Sequence[_Sums],
) -> tuple[Float[np.ndarray, "channels outputs"], Float[np.ndarray, " outputs"]]:
    """Weights and biases at the penalty of the least squared error on each fold held out in turn."""
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
