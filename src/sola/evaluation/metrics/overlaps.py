"""Overlaps of predictions with instances, and rankings of predictions."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.data.segments import SegmentTable

BLOCK = 1 << 20
"""Pairs at a time, which bounds the memory and keeps the arrays in the cache."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Overlapping pairs of a prediction and an instance of its group."""

    prediction: Int[np.ndarray, " pairs"]
    """Ascending."""
    truth: Int[np.ndarray, " pairs"]
    tiou: Float[np.ndarray, " pairs"]


def groups(table: SegmentTable, other: SegmentTable, by_class: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of every row of both tables: its video, or its video and class.

    A label below 0 is unknown, and no class of any instance.
    """
    if not by_class:
        return table.video, other.video
    labels = 1 + max(table.label.max(initial=0), other.label.max(initial=0))
    return tuple(np.where(t.label >= 0, t.video * labels + t.label, -1) for t in (table, other))  # type: ignore[return-value]


def ranking(score: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return predictions group by group, the highest score of each first.

    Equal scores are in the order of ActivityNet's evaluator, which reverses NumPy's default sort: the later one first
    if all are equal. NumPy's sort is not stable, so other ties can fall differently on another kind of processor.

    >>> ranking(np.array([0.5, 0.9, 0.5]), np.array([0, 0, 0]))
    array([1, 2, 0])
    """
    # a stable sort of 16-bit integers is a radix sort, many times faster than one of 64 bits
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
    """Return how many predictions come before each in its group, given their ranking.

    With `among`, only those that it marks are counted.

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
    """Return the pairs of one video (and class, if `by_class`) with a tIoU of at least `at_least`.

    `empty_union` is what 0/0 counts as: two segments without length.
    """
    truth_group, group = groups(truth, predictions, by_class)
    order = np.argsort(truth_group, kind="stable")
    known, first, count = np.unique(truth_group[order], return_index=True, return_counts=True)
    if len(known) == 0 or len(group) == 0:
        return Overlaps(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    where = np.minimum(np.searchsorted(known, group), len(known) - 1)
    meets = np.where((known[where] == group) & (group >= 0), count[where], 0)
    total = np.cumsum(meets)
    found = []
    begin = 0
    while begin < len(group):
        done = total[begin - 1] if begin else 0
        stop = max(begin + 1, int(np.searchsorted(total, done + BLOCK, side="right")))
        block = meets[begin:stop]
        prediction = np.repeat(np.arange(begin, stop), block)
        nth = np.arange(len(prediction)) - np.repeat(np.cumsum(block) - block, block)
        instance = order[np.repeat(first[where[begin:stop]], block) + nth]
        # in the order of operations of ActivityNet's evaluator, for the same rounding
        start, end = truth.start[instance], truth.end[instance]
        predicted_start, predicted_end = predictions.start[prediction], predictions.end[prediction]
        intersection = np.maximum(np.minimum(end, predicted_end) - np.maximum(start, predicted_start), 0.0)
        union = (end - start) + (predicted_end - predicted_start) - intersection
        tiou = np.divide(intersection, union, out=np.full(len(union), empty_union), where=union != 0)
        enough = np.flatnonzero(tiou >= at_least)
        found.append((prediction[enough], instance[enough], tiou[enough]))
        begin = stop
    return Overlaps(*(np.concatenate(column) for column in zip(*found, strict=True)))


def first_places(
    near: Overlaps, place: Int[np.ndarray, " n"], threshold: float, instances: int
) -> Int[np.ndarray, " instances"]:
    """Return the place of the first prediction that reaches the threshold for each instance; the maximum if none."""
    enough = near.tiou >= threshold
    first = np.full(instances, np.iinfo(np.int64).max)
    np.minimum.at(first, near.truth[enough], place[near.prediction[enough]])
    return first
