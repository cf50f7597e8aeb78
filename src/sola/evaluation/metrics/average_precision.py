"""Average precision of detections by class, tIoU threshold and instance length."""

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
    """Average precision by threshold and class."""

    tiou: tuple[float, ...]
    classes: Int[np.ndarray, " classes"]
    """Labels of the classes with instances; other classes are not evaluated."""
    ap: Float[np.ndarray, "thresholds classes"]
    """Average precision [thresholds, classes], as fractions."""

    @property
    def by_tiou(self) -> Float[np.ndarray, " thresholds"]:
        """mAP by threshold: the mean over classes."""
        mean: np.ndarray = self.ap.mean(axis=1)
        return mean

    @property
    def mean(self) -> float:
        """Average mAP: the mean over classes and thresholds."""
        return float(self.by_tiou.mean())


@dataclass(frozen=True)
class LengthBin:
    """Average mAP of the instances in a range of lengths."""

    name: str
    low: float
    """Lower bound (seconds), excluded, except that 0 includes zero-length instances."""
    high: float
    """Upper bound (seconds), included."""
    instances: int
    mean: float | None
    """Mean over classes and thresholds, or None if there are no instances."""


def average_precision(
    truth: SegmentTable,
    predictions: SegmentTable,
    tiou: Sequence[float],
    protocol: Protocol = "official",
) -> AveragePrecision:
    """Return the interpolated average precision (VOC 2011) of detections, as ActivityNet's evaluator does.

    Predictions are matched in descending order of score, with ties ordered as by `ranking`. Only classes with instances
    are evaluated. Predictions in videos without instances of the class are false positives. A class without predictions
    has an average precision of 0. Predictions with a negative label are ignored.

    `official` reproduces two quirks of ActivityNet's evaluator: duplicate and zero-length instances count, and two
    zero-length segments always match. `filtered` drops these instances and treats their tIoU, 0/0, as 0.

    >>> zero = np.zeros(2, int)
    >>> truth = SegmentTable(np.array([0.0, 20.0]), np.array([10.0, 30.0]), zero, np.ones(2), zero)
    >>> detections = SegmentTable(np.array([0.0, 50.0, 21.0]), np.array([9.0, 60.0, 30.0]), np.zeros(3, int),
    ...                      np.array([0.9, 0.8, 0.7]), np.zeros(3, int))
    >>> average_precision(truth, detections, [0.5, 0.95]).by_tiou.round(4)
    array([0.8333, 0.    ])

    Raises SolaError if there are no instances or a threshold is outside (0, 1].
    """
    return of_matching(match(truth, predictions, tiou, protocol), predictions)


def of_matching(matching: Matching, predictions: SegmentTable) -> AveragePrecision:
    """Return the average precision of a matching."""
    instances = np.bincount(matching.truth.label)
    classes = np.flatnonzero(instances)
    ap = [interpolated(predictions.label[true], matching.rank[true], instances) for true in matching.predictions]
    return AveragePrecision(matching.tiou, classes, np.stack(ap)[:, classes])


def average_precision_by_length(
    matching: Matching, predictions: SegmentTable, edges: Sequence[float]
) -> tuple[LengthBin, ...]:
    """Return the average mAP by instance length, in bins between ascending `edges` (seconds).

    As for object areas in COCO, the matching is over all instances. A bin ignores predictions that match an instance of
    another bin, and counts an unmatched prediction as a false positive if its own length is in the bin.
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
