"""Average recall of class-agnostic proposals against their number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.core.errors import SolaError
from sola.data.segments import SegmentTable
from sola.evaluation.metrics.overlaps import first_places, overlaps, places, ranking
from sola.evaluation.metrics.protocol import ACTIVITYNET, Protocol, checked, to_be_found

POINTS = 100
"""Points of the curve."""


@dataclass(frozen=True, eq=False)
class AverageRecall:
    """Recall at every threshold and every average number of proposals, as a fraction."""

    tiou: tuple[float, ...]
    number: Float[np.ndarray, " points"]
    """AN: average number of proposals a video, ascending."""
    recall: Float[np.ndarray, "thresholds points"]
    instances: int
    """Number of instances."""

    @property
    def average(self) -> Float[np.ndarray, " points"]:
        """AR@AN: the mean over thresholds."""
        mean: np.ndarray = self.recall.mean(axis=0)
        return mean

    def at(self, number: int) -> float:
        """Return AR at these hundredths of the curve: AR@10 if it ends at 100; raises SolaError outside 1 to 100."""
        if not 1 <= number <= POINTS:
            raise SolaError(f"AR@{number}: the curve has 1 to {POINTS}")
        return float(self.average[number - 1])

    @property
    def auc(self) -> float:
        """Area under AR against AN by the trapezoidal rule, over the largest AN, as a fraction."""
        return float(np.trapezoid(self.average, self.number) / self.number[-1])


def average_recall(
    truth: SegmentTable,
    proposals: SegmentTable,
    tiou: Sequence[float] = ACTIVITYNET.tiou,
    protocol: Protocol = "official",
    maximum: float = 100.0,
) -> AverageRecall:
    """Return recall against the average number of proposals per video, as ActivityNet's evaluator does.

    With V annotated videos and N proposals in all, the ⌊n·maximum·V/N⌋ best of a video's n proposals are retrieved
    (ties as `ranking` orders them), and the curve goes from a hundredth to all of `maximum` per video. Labels are
    ignored, and so are videos without instances, except that their proposals count in N. 0/0, the tIoU of two segments
    without length, is no match.

    >>> truth = SegmentTable(np.array([0.0, 20.0]), np.array([10.0, 30.0]), np.zeros(2, int), np.ones(2), np.arange(2))
    >>> found = SegmentTable(np.array([0.0, 50.0, 20.0]), np.array([10.0, 60.0, 27.0]), np.zeros(3, int),
    ...                      np.array([0.9, 0.8, 0.7]), np.array([0, 0, 1]))
    >>> curve = average_recall(truth, found, [0.5, 0.75])
    >>> curve.recall[:, -1], round(curve.auc, 4)
    (array([1. , 0.5]), 0.7412)

    Raises SolaError when there is no instance, or a threshold outside (0, 1].
    """
    truth = to_be_found(truth, protocol)
    number, found = _found(truth, proposals, checked(tiou), maximum)
    return AverageRecall(checked(tiou), number, found.sum(axis=1) / len(truth), len(truth))


def retrieval(
    truth: SegmentTable, proposals: SegmentTable, tiou: Sequence[float] = ACTIVITYNET.tiou
) -> tuple[Float[np.ndarray, "videos points"], Int[np.ndarray, " videos"]]:
    """Return the instances found in each video at every point of the curve, mean over thresholds, and all instances."""
    truth = to_be_found(truth, "official")
    _, found = _found(truth, proposals, checked(tiou), 100.0)
    instances = np.bincount(truth.video)
    by_video = np.zeros((len(instances), POINTS))
    np.add.at(by_video, truth.video, found.mean(axis=0))
    return by_video, instances


def _found(
    truth: SegmentTable, proposals: SegmentTable, tiou: Sequence[float], maximum: float
) -> tuple[Float[np.ndarray, " points"], Bool[np.ndarray, "thresholds instances points"]]:
    """Return the numbers of proposals, and which instances are found at each threshold and number."""
    videos = np.unique(truth.video)
    share = np.arange(1, POINTS + 1) / 100.0
    nothing = share * maximum, np.zeros((len(tiou), len(truth), POINTS), bool)
    if len(proposals) == 0:
        return nothing

    available = np.bincount(proposals.video, minlength=videos.max() + 1)[: videos.max() + 1]
    retrieved = np.minimum((available * (maximum * float(len(videos)) / len(proposals))).astype(np.int64), available)
    total = retrieved[videos].sum()
    if total == 0:
        return nothing
    share = share * (maximum * float(len(videos)) / total)
    cutoff = np.minimum((retrieved[:, None] * share).astype(np.int64), retrieved[:, None])[truth.video]

    rank = places(ranking(proposals.score, proposals.video), proposals.video)
    near = overlaps(truth, proposals, by_class=False, at_least=min(tiou), empty_union=0.0)
    found = [first_places(near, rank, threshold, len(truth))[:, None] < cutoff for threshold in tiou]
    return share * (float(total) / len(videos)), np.stack(found)
