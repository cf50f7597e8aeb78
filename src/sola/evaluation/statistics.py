"""Statistics of comparisons: ROC-AUC, deviation over seeds, paired bootstrap over videos, Holm's correction."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from jaxtyping import Bool, Float, Int

from sola.core.errors import SolaError

REPLICATES = 10_000
"""Number of bootstrap replicates of the test videos."""

LEVEL = 0.05
"""Significance level."""


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Summary of one metric over seeds."""

    mean: float
    std: float
    """Sample standard deviation; 0.0 for a single value."""
    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    """95 % bootstrap confidence interval over test videos, of the mean over seeds."""


def summarize(values: Sequence[float], replicates: Float[np.ndarray, " replicates"] | None = None) -> Summary:
    """Summarize one or more values and, if given, the bootstrap replicates of their mean."""
    interval = None if replicates is None else percentile_interval(replicates)
    same = len(set(values)) == 1  # avoid rounding errors for equal values
    mean, std = (values[0], 0.0) if same else (np.mean(values), np.std(values, ddof=1))
    return Summary(float(mean), float(std), tuple(map(float, values)), interval)


def percentile_interval(replicates: Float[np.ndarray, " replicates"]) -> tuple[float, float]:
    """Return the 95 % percentile interval of bootstrap replicates."""
    low, high = np.quantile(replicates, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Paired difference of two rows: estimate, 95 % percentile interval and two-sided p-value."""

    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class Resampled:
    """A metric of one row with its bootstrap replicates."""

    estimate: float
    replicates: Float[np.ndarray, " replicates"]


def roc_auc(positive: Bool[np.ndarray, " snippets"], score: Float[np.ndarray, " snippets"]) -> float:
    """Return the area under the ROC curve; ties count one half. Raises ValueError without positives or negatives."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        raise ValueError("ROC-AUC needs positives and negatives")
    _, level, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[level[positive]].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(positive: Bool[np.ndarray, " snippets"], score: Float[np.ndarray, " snippets"]) -> float:
    """Return the average precision without interpolation, as in scikit-learn. Raises ValueError without positives."""
    if not positive.any():
        raise ValueError("average precision needs a positive")
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.cumsum(positive[order])[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1])


def ordered_pairs(
    score: Float[np.ndarray, " snippets"],
    positive: Bool[np.ndarray, " snippets"],
    unit: Int[np.ndarray, " snippets"],
    units: int,
) -> Float[np.ndarray, "units units"]:
    """Return W[a, b], the number of pairs (positive of unit a, negative of unit b) where the positive scores higher.

    Ties count one half. With unit weights w (how often each unit was drawn) and the numbers p and n of positives and
    negatives per unit, ROC-AUC is the U-statistic (w'Ww)/((w'p)(w'n)); see `weighted_auc`.
    """
    # a tie counts 1 with negatives sorted first and 0 with positives first; average both
    counts = np.zeros((units, units))
    for first in (positive, ~positive):
        order = np.lexsort((first, score))
        counts += _ascending_pairs(positive[order], unit[order], units)
    return counts / 2


def _ascending_pairs(
    positive: Bool[np.ndarray, " snippets"], unit: Int[np.ndarray, " snippets"], units: int
) -> Float[np.ndarray, "units units"]:
    """Count pairs (negative before positive) in a sequence, by the units of (positive, negative).

    Pairs across blocks of the sequence are counted by one matrix product, pairs within a block one by one.
    """
    size = max(64, units // 8)
    blocks = -(-len(unit) // size)
    block = np.arange(len(unit)) // size

    def histogram(chosen: Bool[np.ndarray, " snippets"]) -> Float[np.ndarray, "blocks units"]:
        cells = np.bincount(block[chosen] * units + unit[chosen], minlength=blocks * units)
        return cells.reshape(blocks, units).astype(np.float64)

    negatives = histogram(~positive)
    counts: Float[np.ndarray, "units units"] = histogram(positive).T @ (np.cumsum(negatives, axis=0) - negatives)
    for start in range(0, len(unit), size):
        here, units_here = positive[start : start + size], unit[start : start + size]
        earlier, later = np.nonzero(~here[:, None] & here[None, :] & np.tri(len(here), k=-1, dtype=bool).T)
        np.add.at(counts, (units_here[later], units_here[earlier]), 1.0)
    return counts


def weighted_auc(
    pairs: Float[np.ndarray, "units units"],
    positives: Int[np.ndarray, " units"],
    negatives: Int[np.ndarray, " units"],
    weights: Int[np.ndarray, "replicates units"],
) -> Float[np.ndarray, " replicates"]:
    """Return ROC-AUC for each row of unit weights; `pairs` is from `ordered_pairs`, or its mean over seeds."""
    auc = np.empty(len(weights))
    for start in range(0, len(weights), 1024):  # in slices, to limit the memory of the float copy
        w = weights[start : start + 1024].astype(np.float64)
        auc[start : start + 1024] = ((w @ pairs) * w).sum(axis=1) / ((w @ positives) * (w @ negatives))
    return auc


def bootstrap_weights(
    positives: Int[np.ndarray, " units"],
    negatives: Int[np.ndarray, " units"],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Int[np.ndarray, "replicates units"]:
    """Draw units with replacement and return how often each was drawn.

    Replicates without positives or negatives are redrawn. Raises SolaError if all units lack positives or negatives.
    """
    if not positives.sum() or not negatives.sum():
        raise SolaError("a bootstrap of ROC-AUC needs both action and background snippets in the test videos")
    units = len(positives)
    generator = np.random.default_rng(seed)
    weights = np.empty((replicates, units), dtype=np.int32)
    redraw = np.arange(replicates)
    while len(redraw):
        weights[redraw] = generator.multinomial(units, np.full(units, 1 / units), size=len(redraw))
        drawn = weights[redraw]
        redraw = redraw[(drawn @ positives == 0) | (drawn @ negatives == 0)]
    return weights


def smallest_p(units: int) -> float:
    """Return the smallest p-value, the probability 2/2^units that all units favor the same row by chance."""
    return float(min(1.0, 2.0 ** (1 - units)))


def paired_difference(
    estimate: float,
    first: Float[np.ndarray, " replicates"],
    second: Float[np.ndarray, " replicates"],
    units: int,
) -> Difference:
    """Compare two rows by the difference of their replicates under the same weights.

    The p-value is twice the smaller share of replicates on either side of 0, with one added to all counts, and at
    least `smallest_p(units)`.
    """
    difference = first - second
    total = len(difference) + 1
    sides = (1 + int((difference <= 0).sum())) / total, (1 + int((difference >= 0).sum())) / total
    p = min(1.0, max(2 * min(sides), smallest_p(units)))
    return Difference(float(estimate), *percentile_interval(difference), p)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Correct the p-values of a family (Holm 1979): the i-th smallest times (count − i + 1), made monotone."""
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * factors))
    return tuple(corrected.tolist())


def compare_family(pairs: Sequence[tuple[Resampled, Resampled]], units: int) -> list[tuple[Difference, float]]:
    """Return the paired difference of each pair, with its p-value Holm-corrected over all pairs."""
    differences = [
        paired_difference(first.estimate - second.estimate, first.replicates, second.replicates, units)
        for first, second in pairs
    ]
    return list(zip(differences, holm([difference.p for difference in differences]), strict=True))
