"""Greedy matching of detections to instances, at every tIoU threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.overlaps import Overlaps, overlaps, places, ranking
from sola.evaluation.metrics.protocol import Protocol, checked, to_be_found


@dataclass(frozen=True, eq=False)
class Matching:
    """Matches: at `tiou[i]`, prediction `predictions[i][j]` took instance `instances[i][j]`."""

    tiou: tuple[float, ...]
    truth: SegmentTable
    """The instances that the protocol counts."""
    order: Int[np.ndarray, " n"]
    """Predictions class by class, the highest score first."""
    rank: Int[np.ndarray, " n"]
    """How many predictions of its class come before each."""
    predictions: tuple[Int[np.ndarray, " _"], ...]
    instances: tuple[Int[np.ndarray, " _"], ...]


def match(truth: SegmentTable, predictions: SegmentTable, tiou: Sequence[float], protocol: Protocol) -> Matching:
    """Match each prediction, in the order of scores, to the instance of its video and class that it overlaps most.

    An instance is taken once; a prediction whose best instance is taken gets the next best that reaches the threshold.
    Equal scores and equal overlaps are in the order of `ranking`. Raises SolaError when there is no instance, or a
    threshold outside (0, 1].
    """
    tiou = checked(tiou)
    truth = to_be_found(truth, protocol)
    order = ranking(predictions.score, predictions.label)
    # `official` takes 0/0, the tIoU of two segments without length, for the best overlap of all
    empty_union = np.inf if protocol == "official" else 0.0
    near = overlaps(truth, predictions, by_class=True, at_least=min(tiou), empty_union=empty_union)
    pairs = _as_they_choose(near, order)
    _order_equal_overlaps(pairs, near, truth, predictions, empty_union)
    prediction, instance, overlap = near.prediction[pairs], near.truth[pairs], near.tiou[pairs]
    matched = [_greedy(prediction, instance, overlap >= threshold, len(truth)) for threshold in tiou]
    return Matching(
        tiou,
        truth,
        order,
        places(order, predictions.label),
        tuple(prediction[chosen] for chosen in matched),
        tuple(instance[chosen] for chosen in matched),
    )


def _as_they_choose(near: Overlaps, order: Int[np.ndarray, " n"]) -> Int[np.ndarray, " pairs"]:
    """Return the pairs in the order of their predictions' ranks, those of one prediction by falling overlap."""
    count = np.bincount(near.prediction, minlength=len(order))
    begin = (np.cumsum(count) - count)[order]
    count = count[order]
    pairs: np.ndarray = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(len(near.prediction))
    # few predictions have several instances: only their pairs are sorted
    turn = np.repeat(np.arange(len(order)), count)
    choice = np.flatnonzero(np.repeat(count > 1, count))
    chosen = pairs[choice]
    pairs[choice] = chosen[np.lexsort((-near.tiou[chosen], turn[choice]))]
    return pairs


def _order_equal_overlaps(
    pairs: Int[np.ndarray, " pairs"], near: Overlaps, truth: SegmentTable, predictions: SegmentTable, empty_union: float
) -> None:
    """Put the pairs of predictions that overlap several instances equally in the order of ActivityNet's evaluator.

    It reverses NumPy's default sort of the overlaps with all instances, also with those below the threshold.
    """
    who, overlap = near.prediction[pairs], near.tiou[pairs]
    tied = np.unique(who[1:][(who[1:] == who[:-1]) & (overlap[1:] == overlap[:-1])])
    if not len(tied):
        return
    every = overlaps(truth, predictions.take(tied), by_class=True, at_least=0.0, empty_union=empty_union)
    for index, prediction in enumerate(tied.tolist()):
        own = every.prediction == index
        preferred = every.truth[own][np.argsort(every.tiou[own])[::-1]].tolist()
        place = np.flatnonzero(who == prediction)
        pairs[place] = sorted(pairs[place].tolist(), key=lambda pair: preferred.index(int(near.truth[pair])))


def _greedy(
    prediction: Int[np.ndarray, " pairs"],
    instance: Int[np.ndarray, " pairs"],
    eligible: Bool[np.ndarray, " pairs"],
    instances: int,
) -> Int[np.ndarray, " matches"]:
    """Return the pairs that the greedy matching takes; pairs are sorted by score, then by overlap.

    In each round, every prediction takes its best free instance unless an earlier prediction overlaps that instance.
    The first prediction is always served, so it ends; rounds are few, because videos are independent.
    """
    alive = np.flatnonzero(eligible)
    taken = np.zeros(instances, bool)
    served = np.zeros(prediction.max(initial=-1) + 1, bool)
    first = np.empty(instances, np.int64)
    chosen = []
    while len(alive):
        who, what = prediction[alive], instance[alive]
        favorite = np.concatenate(([True], who[1:] != who[:-1]))
        first[what[::-1]] = np.arange(len(alive))[::-1]  # of several pairs of an instance the first stays
        winners = favorite & (first[what] == np.arange(len(alive)))
        chosen.append(alive[winners])
        taken[what[winners]] = True
        served[who[winners]] = True
        alive = alive[~(taken[what] | served[who])]
    return np.concatenate(chosen) if chosen else alive


def interpolated(
    label: Int[np.ndarray, " matches"],
    rank: Int[np.ndarray, " matches"],
    instances: Int[np.ndarray, " classes"],
) -> Float[np.ndarray, " classes"]:
    """Return the area under the interpolated precision (VOC 2011) of every class with this number of instances.

    `label` and `rank` are the class of every true positive and the number of predictions of its class before it.
    """
    order = np.lexsort((rank, label))
    label, rank = label[order], rank[order]
    count = np.bincount(label, minlength=len(instances))
    nth = np.arange(len(label)) - np.repeat(np.cumsum(count) - count, count)
    precision = np.zeros((len(instances), count.max(initial=1)))
    precision[label, nth] = (nth + 1) / (rank + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)
    area: np.ndarray = best.sum(axis=1) / np.maximum(instances, 1)
    return area
