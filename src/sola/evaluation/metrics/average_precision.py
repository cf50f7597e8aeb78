"""Average precision of detections: per class, per tIoU threshold, per length of the instances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.matching import Matching, interpolated, match
from sola.evaluation.metrics.overlaps import places
from sola.evaluation.metrics.protocol import Protocol


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """Average precision of every class at every threshold, as a fraction."""

    tiou: tuple[float, ...]
    classes: Int[np.ndarray, " classes"]
    """Labels of the classes that have instances: the others do not count."""
    ap: Float[np.ndarray, "thresholds classes"]

    @property
    def by_tiou(self) -> Float[np.ndarray, " thresholds"]:
        """mAP at every threshold: the mean over classes."""
        mean: np.ndarray = self.ap.mean(axis=1)
        return mean

    @property
    def mean(self) -> float:
        """The average mAP: the mean over thresholds."""
        return float(self.by_tiou.mean())


@dataclass(frozen=True)
class LengthBin:
    """Average mAP over the instances of some lengths."""

    name: str
    low: float
    """Seconds; instances are longer than this, or without length at 0."""
    high: float
    """Seconds, included."""
    instances: int
    mean: float | None
    """Mean over classes and thresholds; None where there are no such instances."""


def average_precision(
    truth: SegmentTable,
    predictions: SegmentTable,
    tiou: Sequence[float],
    protocol: Protocol = "official",
) -> AveragePrecision:
    """Return the interpolated average precision (VOC 2011) of detections in seconds, as ActivityNet's evaluator does.

    Predictions are matched in the order of scores, equal ones as `ranking` orders them. A class counts if it has
    instances; its predictions in other videos are false positives; its average precision is 0 without predictions. A
    label below 0 is no class. `official` keeps two quirks of ActivityNet's evaluator: duplicates and instances without
    length count, and two segments without length always match. `filtered` drops such instances, and takes 0/0 for 0.

    >>> zero = np.zeros(2, int)
    >>> truth = SegmentTable(np.array([0.0, 20.0]), np.array([10.0, 30.0]), zero, np.ones(2), zero)
    >>> found = SegmentTable(np.array([0.0, 50.0, 21.0]), np.array([9.0, 60.0, 30.0]), np.zeros(3, int),
    ...                      np.array([0.9, 0.8, 0.7]), np.zeros(3, int))
    >>> average_precision(truth, found, [0.5, 0.95]).by_tiou.round(4)
    array([0.8333, 0.    ])

    Raises SolaError when there is no instance, or a threshold outside (0, 1].
    """
    return of_matching(match(truth, predictions, tiou, protocol), predictions)


def of_matching(matching: Matching, predictions: SegmentTable) -> AveragePrecision:
    """Return the average precision that a matching amounts to."""
    instances = np.bincount(matching.truth.label)
    classes = np.flatnonzero(instances)
    ap = [interpolated(predictions.label[true], matching.rank[true], instances) for true in matching.predictions]
    return AveragePrecision(matching.tiou, classes, np.stack(ap)[:, classes])


def average_precision_by_length(
    matching: Matching, predictions: SegmentTable, edges: Sequence[float]
) -> tuple[LengthBin, ...]:
    """Return the average mAP of instances by their length: bins between ascending `edges`, in seconds.

    The matching is the one over all instances. In a bin, a prediction that matched an instance of another bin is
    left out, and an unmatched one is a false positive if its own length lies in the bin (the rule of COCO's areas).
    """
    truth = matching.truth
    bounds = (0.0, *edges, np.inf)
    truth_bin = np.searchsorted(edges, truth.end - truth.start, side="left")
    predicted_bin = np.searchsorted(edges, predictions.end - predictions.start, side="left")
    totals = np.zeros(len(bounds) - 1)
    counts = np.bincount(truth_bin, minlength=len(totals))
    for true, instance in zip(matching.predictions, matching.instances, strict=True):
        home = predicted_bin.copy()
        home[true] = truth_bin[instance]
        for place in np.flatnonzero(counts):
            rank = places(matching.order, predictions.label, home == place)
            positives = true[truth_bin[instance] == place]
            instances = np.bincount(truth.label[truth_bin == place])
            ap = interpolated(predictions.label[positives], rank[positives], instances)
            totals[place] += ap[instances > 0].mean()
    names = ("XS", "S", "M", "L", "XL") if len(totals) == 5 else map(str, range(1, len(totals) + 1))
    return tuple(
        LengthBin(
            name, bounds[i], bounds[i + 1], int(counts[i]), float(totals[i] / len(matching.tiou)) if counts[i] else None
        )
        for i, name in enumerate(names)
    )
