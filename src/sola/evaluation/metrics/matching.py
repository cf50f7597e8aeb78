"""Greedy matching of detections to instances at each tIoU threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.overlaps import Overlaps, overlaps, places, ranking
from sola.evaluation.metrics.protocol import Protocol, checked, to_be_found


@dataclass(frozen=True, eq=False)
class Matching:
    """Matches by threshold: at `tiou[i]`, prediction `predictions[i][j]` matches instance `instances[i][j]`."""

    tiou: tuple[float, ...]
    truth: SegmentTable
    """Instances counted by the protocol."""
    order: Int[np.ndarray, " n"]
    """Prediction indices by class, in descending order of score."""
    rank: Int[np.ndarray, " n"]
    """Rank of each prediction within its class, from 0."""
    predictions: tuple[Int[np.ndarray, " _"], ...]
    instances: tuple[Int[np.ndarray, " _"], ...]


def match(truth: SegmentTable, predictions: SegmentTable, tiou: Sequence[float], protocol: Protocol) -> Matching:
    """Match each prediction, in descending order of score, to the unmatched instance with the highest tIoU.

    Only instances of the same video and class that reach the threshold are candidates. Ties in score and in tIoU are
    ordered as by `ranking`. Raises SolaError if there are no instances or a threshold is outside (0, 1].
    """
    tiou = checked(tiou)
    truth = to_be_found(truth, protocol)
    order = ranking(predictions.score, predictions.label)
    # `official` treats 0/0, the tIoU of two zero-length segments, as the highest overlap
    empty_union = np.inf if protocol == "official" else 0.0
    near = overlaps(truth, predictions, by_class=True, at_least=min(tiou), empty_union=empty_union)
    pairs = _preference_order(near, order)
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


def _preference_order(near: Overlaps, order: Int[np.ndarray, " n"]) -> Int[np.ndarray, " pairs"]:
    """Return the pairs sorted by rank of the prediction, then by descending overlap."""
    count = np.bincount(near.prediction, minlength=len(order))
    begin = (np.cumsum(count) - count)[order]
    count = count[order]
    pairs: np.ndarray = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(len(near.prediction))
    # few predictions overlap several instances; sort only their pairs
    turn = np.repeat(np.arange(len(order)), count)
    choice = np.flatnonzero(np.repeat(count > 1, count))
    chosen = pairs[choice]
    pairs[choice] = chosen[np.lexsort((-near.tiou[chosen], turn[choice]))]
    return pairs


def _order_equal_overlaps(
    pairs: Int[np.ndarray, " pairs"], near: Overlaps, truth: SegmentTable, predictions: SegmentTable, empty_union: float
) -> None:
    """Reorder pairs with equal overlaps as ActivityNet's evaluator does.

    The evaluator reverses NumPy's default sort of the overlaps with all instances, including those below the threshold.
    """
    who, overlap = near.prediction[pairs], near.tiou[pairs]
    tied = np.unique(who[1:][(who[1:] == who[:-1]) & (overlap[1:] == overlap[:-1])])
    if not len(tied):
        return
    every = overlaps(truth, predictions.take(tied), by_class=True, at_least=0.0, empty_union=empty_union)
    for index, prediction in enumerate(tied.tolist()):
        rows = every.prediction == index
        preferred = every.truth[rows][np.argsort(every.tiou[rows])[::-1]].tolist()
        place = np.flatnonzero(who == prediction)
        pairs[place] = sorted(pairs[place].tolist(), key=lambda pair: preferred.index(int(near.truth[pair])))


def _greedy(
    prediction: Int[np.ndarray, " pairs"],
    instance: Int[np.ndarray, " pairs"],
    eligible: Bool[np.ndarray, " pairs"],
    instances: int,
) -> Int[np.ndarray, " matches"]:
    """Return the pairs of the greedy matching, given pairs sorted by score, then by overlap.

    In each round, every prediction takes its best free instance unless an earlier prediction overlaps that instance.
    The first remaining prediction always gets an instance, so the loop ends. Few rounds are needed, because videos are
    independent.
    """
    alive = np.flatnonzero(eligible)
    taken = np.zeros(instances, bool)
    served = np.zeros(prediction.max(initial=-1) + 1, bool)
    first = np.empty(instances, np.int64)
    chosen = []
    while len(alive):
        who, what = prediction[alive], instance[alive]
        favorite = np.concatenate(([True], who[1:] != who[:-1]))
        first[what[::-1]] = np.arange(len(alive))[::-1]  # the last assignment wins: the first pair of each instance
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
    """Return the interpolated average precision (VOC 2011) of each class, given its number of instances.

    `label` and `rank` are the class and the rank within the class, from 0, of every true positive.
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
