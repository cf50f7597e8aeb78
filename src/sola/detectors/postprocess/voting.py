"""Segment voting: boundaries of segments, averaged over the candidates that overlap them."""

from typing import Literal

import numpy as np

from sola.core.checks import fraction
from sola.core.errors import SolaError
from sola.data.segments import Segments, temporal_iou


def vote(
    kept: Segments,
    candidates: Segments,
    *,
    iou: float,
    weight: Literal["score", "score_iou"] = "score_iou",
    class_aware: bool = True,
) -> Segments:
    """Return the kept segments with start and end averaged over the candidates whose tIoU with them is `iou` or more.

    The weights are the scores of all candidates before suppression, times the tIoU with "score_iou" (ActionFormer's
    code; OpenTAD takes "score"). With `class_aware` only candidates of the segment's own label vote; the originals
    suppress and vote without classes. A segment without votes stays as it is. Time and memory grow with kept ×
    candidates. Raises SolaError when `iou` is not in (0, 1] or a candidate's score is negative or not finite.

    >>> kept = Segments(np.array([0.0]), np.array([10.0]), np.array([0]), np.array([0.9]))
    >>> two = Segments(np.array([0.0, 1.0]), np.array([10.0, 10.0]), np.array([0, 0]), np.array([0.9, 0.9]))
    >>> vote(kept, two, iou=0.7, weight="score").start
    array([0.5])
    """
    fraction("(0, 1]", iou=iou)
    if not (np.isfinite(candidates.score) & (candidates.score >= 0)).all():
        raise SolaError("a candidate's score is negative or not finite; voting needs weights of 0 or more")
    overlap = temporal_iou(kept.start, kept.end, candidates.start, candidates.end)
    votes = overlap >= iou
    if class_aware:
        votes &= kept.label[:, None] == candidates.label
    weights = np.where(votes, candidates.score.astype(np.float64), 0.0)
    if weight == "score_iou":
        weights *= overlap
    total = weights.sum(1)
    heard = total > 0
    total[~heard] = 1.0
    start = np.where(heard, weights @ candidates.start / total, kept.start)
    end = np.where(heard, weights @ candidates.end / total, kept.end)
    return Segments(start, end, kept.label, kept.score)
