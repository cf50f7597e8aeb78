"""Evaluation settings by data set, and the instances that a protocol counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sola.core.errors import SolaError
from sola.data.segments import SegmentTable

Protocol = Literal["official", "filtered"]
"""`official` keeps all instances, as ActivityNet's evaluator does; `filtered` drops duplicate and zero-length ones."""

SAME = 1e-3
"""Maximum difference in start and in end (seconds) between duplicate instances of a class."""


@dataclass(frozen=True)
class Dataset:
    """Evaluation settings used in papers on a data set."""

    tiou: tuple[float, ...]
    """tIoU thresholds of mAP."""
    lengths: tuple[float, ...]
    """Boundaries (seconds) between XS, S, M, L and XL instances: those of DETAD (Alwassel et al., ECCV 2018) for
    ActivityNet and THUMOS14, chosen for sola otherwise."""
    subset: str
    """Evaluated subset."""
    points: int | None = None
    """Number of points per video for frame-level evaluation, or None for all frames."""


def thresholds(first: float, last: float, step: float) -> tuple[float, ...]:
    """Return the tIoU thresholds from `first` to `last`, both included, rounded as by `np.linspace`.

    >>> thresholds(0.5, 0.95, 0.15)
    (0.5, 0.65, 0.8, 0.95)

    Raises SolaError unless 0 < first ≤ last ≤ 1 and the step divides the range.
    """
    count = round((last - first) / step) + 1 if step > 0 and math.isfinite(step) else 0
    if not (0 < first <= last <= 1 and count > 0 and abs(first + (count - 1) * step - last) < 1e-6):
        raise SolaError(
            f"tIoU thresholds {first:g}:{last:g}:{step:g}: expected FIRST:LAST:STEP in (0, 1], such as .5:.95:.05"
        )
    return checked(np.linspace(first, last, count).tolist())


def checked(tiou: Sequence[float]) -> tuple[float, ...]:
    """Return the thresholds. Raises SolaError if there are none or any is outside (0, 1]."""
    if not tiou or not all(0 < threshold <= 1 for threshold in tiou):
        raise SolaError(f"tIoU thresholds {list(tiou)}: expected at least one, each in (0, 1]")
    return tuple(tiou)


ACTIVITYNET = Dataset(thresholds(0.5, 0.95, 0.05), (30.0, 60.0, 120.0, 180.0), "validation")
THUMOS14 = Dataset(thresholds(0.3, 0.7, 0.1), (3.0, 6.0, 12.0, 18.0), "test")
DENSE = thresholds(0.1, 0.9, 0.1)
EPIC_KITCHENS = Dataset(thresholds(0.1, 0.5, 0.1), (2.0, 4.0, 6.0, 8.0), "validation")

DATASETS: Mapping[str, Dataset] = {
    "activitynet": ACTIVITYNET,
    "hacs": ACTIVITYNET,
    "thumos14": THUMOS14,
    "multithumos": Dataset(DENSE, THUMOS14.lengths, "test"),
    "charades": Dataset(DENSE, THUMOS14.lengths, "test", points=25),
    "epic-kitchens-100": EPIC_KITCHENS,
    "ego4d-mq": Dataset(EPIC_KITCHENS.tiou, THUMOS14.lengths, "validation"),
    "fineaction": Dataset(ACTIVITYNET.tiou, THUMOS14.lengths, "validation"),
}


def to_be_found(truth: SegmentTable, protocol: Protocol) -> SegmentTable:
    """Return the instances that the protocol counts. Raises SolaError if there are none."""
    truth = counted(truth, protocol)
    if len(truth) == 0:
        raise SolaError("no ground truth: expected at least one instance")
    return truth


def counted(truth: SegmentTable, protocol: Protocol) -> SegmentTable:
    """Return the instances that the protocol counts.

    `filtered` drops zero-length instances, and instances whose start and end are within 1 ms of an earlier remaining
    instance of the same video and class (OpenTAD's rule). The order is unchanged.

    >>> zero, end = np.zeros(3, int), np.array([1.0, 1.0, 3.0])
    >>> truth = SegmentTable(np.array([0.0, 0.0, 3.0]), end, zero, np.ones(3), zero)
    >>> len(counted(truth, "official")), len(counted(truth, "filtered"))
    (3, 1)
    """
    if protocol == "official":
        return truth
    keep = truth.end - truth.start > 0
    # only clusters of instances with close starts can have duplicates; compare those one by one, in order
    order = np.lexsort((truth.start, truth.label, truth.video))
    order = order[keep[order]]
    near = (
        (np.diff(truth.video[order]) == 0) & (np.diff(truth.label[order]) == 0) & (np.diff(truth.start[order]) <= SAME)
    )
    cluster = np.concatenate(([0], np.cumsum(~near))) if len(order) else order
    crowded = np.bincount(cluster, minlength=1)[cluster] > 1 if len(order) else np.zeros(0, bool)
    remaining: dict[int, list[int]] = {}
    for cluster_id, index in sorted(zip(cluster[crowded], order[crowded], strict=True), key=lambda pair: pair[1]):
        others = remaining.setdefault(int(cluster_id), [])
        if any(
            abs(truth.start[index] - truth.start[other]) <= SAME and abs(truth.end[index] - truth.end[other]) <= SAME
            for other in others
        ):
            keep[index] = False
        else:
            others.append(int(index))
    return truth.take(keep)
