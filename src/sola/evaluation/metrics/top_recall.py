"""Recall@kx: recall of the k·n highest-scored detections of a class in a video with n instances of the class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.overlaps import first_places, groups, overlaps, places, ranking
from sola.evaluation.metrics.protocol import Protocol, checked, to_be_found


@dataclass(frozen=True, eq=False)
class TopRecall:
    """Recall@kx by threshold and k, averaged over classes, as fractions."""

    tiou: tuple[float, ...]
    k: tuple[int, ...]
    recall: Float[np.ndarray, "thresholds k"]


def top_recall(
    truth: SegmentTable,
    predictions: SegmentTable,
    tiou: Sequence[float],
    k: Sequence[int] = (1, 5),
    protocol: Protocol = "official",
) -> TopRecall:
    """Return Recall@kx as defined for Ego4D and computed by ActionFormer.

    An instance is retrieved at k if any of the k·n highest-scored predictions of its video and class reaches the
    threshold, where n is the number of instances of the class in the video. One prediction may retrieve several
    instances. Ties are ordered as by `ranking`.

    >>> truth = SegmentTable(np.array([0.0]), np.array([10.0]), np.array([0]), np.ones(1), np.array([0]))
    >>> detections = SegmentTable(np.array([40.0, 0.0]), np.array([50.0, 9.0]), np.zeros(2, int), np.array([0.9, 0.8]),
    ...                      np.zeros(2, int))
    >>> top_recall(truth, detections, [0.5]).recall
    array([[0., 1.]])

    Raises SolaError if there are no instances or a threshold is outside (0, 1].
    """
    tiou = checked(tiou)
    truth = to_be_found(truth, protocol)
    truth_group, group = groups(truth, predictions, by_class=True)
    _, inverse, count = np.unique(truth_group, return_inverse=True, return_counts=True)
    rank = places(ranking(predictions.score, group), group)
    near = overlaps(truth, predictions, by_class=True, at_least=min(tiou), empty_union=0.0)
    instances = np.bincount(truth.label)
    classes = np.flatnonzero(instances)
    recall = np.empty((len(tiou), len(k)))
    for i, threshold in enumerate(tiou):
        first = first_places(near, rank, threshold, len(truth))
        for j, factor in enumerate(k):
            retrieved = np.bincount(truth.label[first < factor * count[inverse]], minlength=len(instances))
            recall[i, j] = (retrieved[classes] / instances[classes]).mean()
    return TopRecall(tiou, tuple(k), recall)
