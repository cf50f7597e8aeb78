"""Metrics of the same detections on test videos drawn with replacement."""

import numpy as np
from jaxtyping import Float, Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.matching import Matching

CELLS = 1 << 24
"""Values in memory at a time: draws × predictions of one class."""


def resampled_average_precision(
    matching: Matching, predictions: SegmentTable, draws: Int[np.ndarray, "draws videos"]
) -> Float[np.ndarray, "draws thresholds"]:
    """Return mAP at every threshold when each video occurs as often as a draw says.

    It equals `average_precision` on tables in which videos are repeated, since videos are matched one by one. A class
    without an instance in a draw does not count in it. Predictions of videos beyond those of `draws` occur once.
    """
    beyond = max(int(predictions.video.max(initial=0)) + 1 - draws.shape[1], 0)
    weights = np.pad(draws, ((0, 0), (0, beyond)), constant_values=1).astype(np.float64)
    truth = matching.truth
    total = np.zeros((len(draws), len(matching.tiou)))
    counted = np.zeros((len(draws), 1))
    for label in np.unique(truth.label):
        instances = weights[:, truth.video[truth.label == label]].sum(axis=1)
        ranked = matching.order[predictions.label[matching.order] == label]
        place = np.empty(len(predictions), np.int64)
        place[ranked] = np.arange(len(ranked))
        size = max(1, CELLS // max(len(ranked), 1))
        for start in range(0, len(draws), size):
            chosen = slice(start, start + size)
            weight = weights[chosen][:, predictions.video[ranked]]
            retrieved = np.cumsum(weight, axis=1)
            for i, true in enumerate(matching.predictions):
                hits = np.sort(place[true[predictions.label[true] == label]])
                gained = weight[:, hits]
                # precision once all copies of the hit are in: the best that its recall is reached with
                precision = np.cumsum(gained, axis=1) / np.maximum(retrieved[:, hits], 1.0)
                best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
                total[chosen, i] += (best * gained).sum(axis=1) / np.maximum(instances[chosen], 1.0)
        counted[:, 0] += instances > 0
    return total / np.maximum(counted, 1.0)


def resampled_average_recall(
    found: Float[np.ndarray, "annotated points"],
    instances: Int[np.ndarray, " annotated"],
    draws: Int[np.ndarray, "draws videos"],
) -> Float[np.ndarray, "draws points"]:
    """Return AR at every point of the curve, from `retrieval`, when each video occurs as often as a draw says.

    The share of its proposals that a video retrieves is that on all videos.
    """
    counted = draws[:, : len(instances)]  # videos after the last instance have none
    recall: Float[np.ndarray, "draws points"] = (counted @ found) / np.maximum(counted @ instances, 1)[:, None]
    return recall
