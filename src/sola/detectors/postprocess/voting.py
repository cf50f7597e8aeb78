"""Segment voting: average the boundaries of segments over overlapping candidates."""

from typing import Literal

import numpy as np

from sola.core.checks import fraction
from sola.core.errors import SolaError
from sola.data.segments import Segments, grouped, temporal_iou

NOBODY = np.empty(0, np.int64)
"""Positions of no candidates."""


def vote(
    picks: Segments,
    candidates: Segments,
    *,
    iou: float,
    weight: Literal["score", "score_iou"] = "score_iou",
    class_aware: bool = True,
) -> Segments:
    """Average start and end of each segment over the candidates with a tIoU of at least `iou`.

    A segment without votes does not change. Time and memory grow with the product of the numbers of segments and
    candidates, of each class if voting is by class.

    Args:
        picks: segments after suppression.
        candidates: all candidates with their scores before suppression.
        iou: minimum tIoU of a candidate that votes.
        weight: weight of a vote: "score" (OpenTAD), or "score_iou" for score times tIoU (ActionFormer).
        class_aware: only candidates with the label of the segment vote. The published programs ignore classes here.

    Raises:
        SolaError: if `iou` is not in (0, 1], or a candidate's score is negative or not finite.

    >>> pick = Segments(np.array([0.0]), np.array([10.0]), np.array([0]), np.array([0.9]))
    >>> two = Segments(np.array([0.0, 1.0]), np.array([10.0, 10.0]), np.array([0, 0]), np.array([0.9, 0.9]))
    >>> vote(pick, two, iou=0.7, weight="score").start
    array([0.5])
    """
    fraction("(0, 1]", iou=iou)
    if not (np.isfinite(candidates.score) & (candidates.score >= 0)).all():
        raise SolaError("a candidate's score is negative or not finite; voting needs weights of 0 or more")
    if class_aware:
        start, end, voters = picks.start.astype(np.float64), picks.end.astype(np.float64), grouped(candidates.label)
        for label, rows in grouped(picks.label).items():
            mine, others = picks.take(rows), candidates.take(voters.get(label, NOBODY))
            voted = vote(mine, others, iou=iou, weight=weight, class_aware=False)
            start[rows], end[rows] = voted.start, voted.end
        return Segments(start, end, picks.label, picks.score)
    overlap = temporal_iou(picks.start, picks.end, candidates.start, candidates.end)
    weights = np.where(overlap >= iou, candidates.score.astype(np.float64), 0.0)
    if weight == "score_iou":
        weights *= overlap
    total = weights.sum(1)
    voted = total > 0
    total[~voted] = 1.0
    start = np.where(voted, weights @ candidates.start / total, picks.start)
    end = np.where(voted, weights @ candidates.end / total, picks.end)
    return Segments(start, end, picks.label, picks.score)
