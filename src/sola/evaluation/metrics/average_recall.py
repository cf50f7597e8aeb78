"""Average recall of class-agnostic proposals against the number of proposals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.core.errors import SolaError
from sola.data.segments import SegmentTable
from sola.evaluation.metrics.overlaps import first_places, overlaps, places, ranking
from sola.evaluation.metrics.protocol import ACTIVITYNET, Protocol, checked, to_be_found

POINTS = 100
"""Number of points of the curve."""


@dataclass(frozen=True, eq=False)
class AverageRecall:
    """Recall by threshold and average number of proposals."""

    tiou: tuple[float, ...]
    number: Float[np.ndarray, " points"]
    """AN: average number of proposals per video, ascending."""
    recall: Float[np.ndarray, "thresholds points"]
    """Recall [thresholds, points], as fractions."""
    instances: int
    """Number of instances."""

    @property
    def average(self) -> Float[np.ndarray, " points"]:
        """AR@AN: the mean of recall over thresholds."""
        mean: np.ndarray = self.recall.mean(axis=0)
        return mean

    def at(self, number: int) -> float:
        """Return AR at point `number` of the curve, which is AR@10 for 10 if the curve ends at AN = 100.

        Raises SolaError if `number` is not from 1 to 100.
        """
        if not 1 <= number <= POINTS:
            raise SolaError(f"AR@{number}: expected a number from 1 to {POINTS}")
        return float(self.average[number - 1])

    @property
    def auc(self) -> float:
        """Area under AR against AN (trapezoidal rule), divided by the largest AN, as a fraction."""
        return float(np.trapezoid(self.average, self.number) / self.number[-1])


def average_recall(
    truth: SegmentTable,
    proposals: SegmentTable,
    tiou: Sequence[float] = ACTIVITYNET.tiou,
    protocol: Protocol = "official",
    maximum: float = 100.0,
) -> AverageRecall:
    """Return recall against the average number of proposals per video, as ActivityNet's evaluator does.

    With V annotated videos and N proposals in total, the ⌊n·maximum·V/N⌋ highest-scored of a video's n proposals are
    retrieved (ties ordered as by `ranking`). The curve has 100 points, from maximum/100 to `maximum` proposals per
    video. Labels are ignored. Videos without instances are ignored too, except that their proposals count in N. Two
    zero-length segments, with a tIoU of 0/0, do not match.

    >>> truth = SegmentTable(np.array([0.0, 20.0]), np.array([10.0, 30.0]), np.zeros(2, int), np.ones(2), np.arange(2))
    >>> proposals = SegmentTable(np.array([0.0, 50.0, 20.0]), np.array([10.0, 60.0, 27.0]), np.zeros(3, int),
    ...                      np.array([0.9, 0.8, 0.7]), np.array([0, 0, 1]))
    >>> curve = average_recall(truth, proposals, [0.5, 0.75])
    >>> curve.recall[:, -1], round(curve.auc, 4)
    (array([1. , 0.5]), 0.7412)

    Raises SolaError if there are no instances or a threshold is outside (0, 1].
    """
    truth = to_be_found(truth, protocol)
    number, retrieved = _retrieved(truth, proposals, checked(tiou), maximum)
    return AverageRecall(checked(tiou), number, retrieved.sum(axis=1) / len(truth), len(truth))


def retrieval(
    truth: SegmentTable, proposals: SegmentTable, tiou: Sequence[float] = ACTIVITYNET.tiou
) -> tuple[Float[np.ndarray, "videos points"], Int[np.ndarray, " videos"]]:
    """Return each video's retrieved instances by point of the curve, averaged over thresholds, and its instances."""
    truth = to_be_found(truth, "official")
    _, retrieved = _retrieved(truth, proposals, checked(tiou), 100.0)
    instances = np.bincount(truth.video)
    by_video = np.zeros((len(instances), POINTS))
    np.add.at(by_video, truth.video, retrieved.mean(axis=0))
    return by_video, instances


def _retrieved(
    truth: SegmentTable, proposals: SegmentTable, tiou: Sequence[float], maximum: float
) -> tuple[Float[np.ndarray, " points"], Bool[np.ndarray, "thresholds instances points"]]:
    """Return the numbers of proposals, and the instances retrieved at each threshold and number."""
    videos = np.unique(truth.video)
    share = np.arange(1, POINTS + 1) / 100.0
    nothing = share * maximum, np.zeros((len(tiou), len(truth), POINTS), bool)
    if len(proposals) == 0:
        return nothing

    available = np.bincount(proposals.video, minlength=videos.max() + 1)[: videos.max() + 1]
    used = np.minimum((available * (maximum * float(len(videos)) / len(proposals))).astype(np.int64), available)
    total = used[videos].sum()
    if total == 0:
        return nothing
    share = share * (maximum * float(len(videos)) / total)
    cutoff = np.minimum((used[:, None] * share).astype(np.int64), used[:, None])[truth.video]

    rank = places(ranking(proposals.score, proposals.video), proposals.video)
    near = overlaps(truth, proposals, by_class=False, at_least=min(tiou), empty_union=0.0)
    retrieved = [first_places(near, rank, threshold, len(truth))[:, None] < cutoff for threshold in tiou]
    return share * (float(total) / len(videos)), np.stack(retrieved)
