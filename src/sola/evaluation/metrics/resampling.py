"""Metrics of detections on test videos drawn with replacement, for the bootstrap."""

import numpy as np
from jaxtyping import Float, Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.matching import Matching

CELLS = 1 << 24
"""Maximum number of values in memory at a time: draws × predictions of one class."""


def resampled_average_precision(
    matching: Matching, predictions: SegmentTable, draws: Int[np.ndarray, "draws videos"]
) -> Float[np.ndarray, "draws thresholds"]:
    """Return mAP at every threshold for each draw, which gives the number of occurrences of each video.

    The result equals `average_precision` on tables with repeated videos, because videos are matched independently.
    Classes without instances in a draw are ignored in it. Predictions of videos that are not in `draws` occur once.
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
                # precision after all copies of the hit, which is the highest at its recall
                precision = np.cumsum(gained, axis=1) / np.maximum(retrieved[:, hits], 1.0)
                best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
                total[chosen, i] += (best * gained).sum(axis=1) / np.maximum(instances[chosen], 1.0)
        counted[:, 0] += instances > 0
    return total / np.maximum(counted, 1.0)


def resampled_average_recall(
    retrieved: Float[np.ndarray, "annotated points"],
    instances: Int[np.ndarray, " annotated"],
    draws: Int[np.ndarray, "draws videos"],
) -> Float[np.ndarray, "draws points"]:
    """Return AR at every point of the curve for each draw, from the output of `retrieval`.

    The number of retrieved proposals of each video is that of the evaluation on all videos.
    """
    counted = draws[:, : len(instances)]  # later videos have no instances
    recall: Float[np.ndarray, "draws points"] = (counted @ retrieved) / np.maximum(counted @ instances, 1)[:, None]
    return recall
