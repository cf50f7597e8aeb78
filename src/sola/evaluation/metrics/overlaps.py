"""Overlap of predictions with instances, and ranking of predictions."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.data.segments import SegmentTable

BLOCK = 1 << 20
"""Number of pairs processed at a time, which bounds memory and fits the cache."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Overlapping pairs of a prediction and an instance of the same group."""

    prediction: Int[np.ndarray, " pairs"]
    """Prediction indices, ascending."""
    truth: Int[np.ndarray, " pairs"]
    tiou: Float[np.ndarray, " pairs"]


def groups(table: SegmentTable, other: SegmentTable, by_class: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of every row of both tables: its video, or its video and class.

    Rows with a negative label, an unknown class, get the group -1.
    """
    if not by_class:
        return table.video, other.video
    labels = 1 + max(table.label.max(initial=0), other.label.max(initial=0))
    return tuple(np.where(t.label >= 0, t.video * labels + t.label, -1) for t in (table, other))  # type: ignore[return-value]


def ranking(score: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the indices of predictions by group, in descending order of score.

    Ties are ordered as in ActivityNet's evaluator, which reverses NumPy's default sort. If all scores are equal, later
    predictions come first. NumPy's sort is not stable, so the order of other ties can depend on the processor.

    >>> ranking(np.array([0.5, 0.9, 0.5]), np.array([0, 0, 0]))
    array([1, 2, 0])
    """
    # NumPy sorts 16-bit integers with radix sort, which is many times faster than its 64-bit sort
    narrow = group.max(initial=0) <= np.iinfo(np.int16).max and group.min(initial=0) >= np.iinfo(np.int16).min
    order = np.argsort(group.astype(np.int16) if narrow else group, kind="stable")
    ordered, values = group[order], score[order]
    bounds = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True]))).tolist()
    for begin, end in pairwise(bounds):
        order[begin:end] = order[begin:end][np.argsort(values[begin:end])[::-1]]
    return order


def places(
    order: Int[np.ndarray, " n"], group: Int[np.ndarray, " n"], among: Bool[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, " n"]:
    """Return the rank of every prediction within its group, from 0, given the order from `ranking`.

    With `among`, the rank counts only the predictions that it marks.

    >>> score, group = np.array([0.3, 0.9, 0.9]), np.array([5, 5, 5])
    >>> places(ranking(score, group), group)
    array([2, 1, 0])
    """
    counts = np.ones(len(order), np.int64) if among is None else among[order].astype(np.int64)
    before = np.cumsum(counts) - counts
    ordered = group[order]
    begins = np.concatenate((np.ones(min(1, len(order)), bool), ordered[1:] != ordered[:-1]))
    place = np.empty(len(order), np.int64)
    place[order] = before - np.maximum.accumulate(np.where(begins, before, 0))
    return place


def overlaps(
    truth: SegmentTable,
    predictions: SegmentTable,
    *,
    by_class: bool,
    at_least: float,
    empty_union: float,
) -> Overlaps:
    """Return the pairs in the same video (and class, if `by_class`) with a tIoU of at least `at_least`.

    `empty_union` is the tIoU of two zero-length segments, 0/0.
    """
    truth_group, group = groups(truth, predictions, by_class)
    order = np.argsort(truth_group, kind="stable")
    known, first, count = np.unique(truth_group[order], return_index=True, return_counts=True)
    if len(known) == 0 or len(group) == 0:
        return Overlaps(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    where = np.minimum(np.searchsorted(known, group), len(known) - 1)
    meets = np.where((known[where] == group) & (group >= 0), count[where], 0)
    total = np.cumsum(meets)
    columns = []
    begin = 0
    while begin < len(group):
        done = total[begin - 1] if begin else 0
        stop = max(begin + 1, int(np.searchsorted(total, done + BLOCK, side="right")))
        block = meets[begin:stop]
        prediction = np.repeat(np.arange(begin, stop), block)
        nth = np.arange(len(prediction)) - np.repeat(np.cumsum(block) - block, block)
        instance = order[np.repeat(first[where[begin:stop]], block) + nth]
        # same order of operations as in ActivityNet's evaluator, for identical rounding
        start, end = truth.start[instance], truth.end[instance]
        predicted_start, predicted_end = predictions.start[prediction], predictions.end[prediction]
        intersection = np.maximum(np.minimum(end, predicted_end) - np.maximum(start, predicted_start), 0.0)
        union = (end - start) + (predicted_end - predicted_start) - intersection
        tiou = np.divide(intersection, union, out=np.full(len(union), empty_union), where=union != 0)
        enough = np.flatnonzero(tiou >= at_least)
        columns.append((prediction[enough], instance[enough], tiou[enough]))
        begin = stop
    return Overlaps(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def first_places(
    near: Overlaps, place: Int[np.ndarray, " n"], threshold: float, instances: int
) -> Int[np.ndarray, " instances"]:
    """Return the rank of the first prediction that reaches the threshold for each instance, or int64's maximum."""
    enough = near.tiou >= threshold
    first = np.full(instances, np.iinfo(np.int64).max)
    np.minimum.at(first, near.truth[enough], place[near.prediction[enough]])
    return first
