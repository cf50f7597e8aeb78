"""Error diagnosis: the gain in mAP without each type of error."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.matching import Matching, interpolated
from sola.evaluation.metrics.overlaps import overlaps, places

KINDS = ("localization", "confusion", "double", "background", "misses")

NEAR = 0.1
"""Minimum tIoU of a localization error (DETAD)."""


@dataclass(frozen=True)
class Diagnosis:
    """Errors at one threshold, by type."""

    tiou: float
    mean_ap: float
    """mAP at the threshold, as a fraction."""
    count: Mapping[str, int]
    """Number of predictions of each type; for misses, of instances."""
    gain: Mapping[str, float]
    """Gain in mAP without errors of each type, as a fraction."""

    @property
    def share(self) -> Mapping[str, float]:
        """Gain of each type divided by the sum of all gains; 0 if there is no gain."""
        total = sum(self.gain.values())
        return {kind: gain / total if total > 0 else 0.0 for kind, gain in self.gain.items()}


def diagnose(matching: Matching, predictions: SegmentTable, threshold: int = 0) -> Diagnosis:
    """Classify the errors at one threshold of a matching, and compute the gain in mAP without each type.

    Based on DETAD (Alwassel et al., ECCV 2018) and TIDE (Bolya et al., ECCV 2020). The type of an unmatched prediction
    is the first that applies:

    - *double*: reaches the threshold with an instance of its class,
    - *confusion*: reaches the threshold with an instance of another class,
    - *localization*: tIoU of at least .1 with an instance of its class,
    - *confusion*: tIoU of at least .1 with any instance,
    - *background*: all others.

    A *miss* is an instance without a match; the gain without misses drops these instances.
    """
    truth, tiou = matching.truth, matching.tiou[threshold]
    true, matched = matching.predictions[threshold], matching.instances[threshold]
    instances = np.bincount(truth.label)
    kind = _kinds(truth, predictions, true, tiou)

    def mean_ap(dropped: int) -> float:
        rank = places(matching.order, predictions.label, kind != dropped)
        ap = interpolated(predictions.label[true], rank[true], instances)
        return float(ap[instances > 0].mean())

    now = mean_ap(len(KINDS))
    gain = {name: mean_ap(i) - now for i, name in enumerate(KINDS[:-1])}
    reached = np.bincount(truth.label[matched], minlength=len(instances))
    ap = interpolated(predictions.label[true], matching.rank[true], reached)
    # ignore classes without a match, which have no instances left
    gain["misses"] = float(ap[reached > 0].mean()) - now if reached.any() else 0.0
    count = {name: int((kind == i).sum()) for i, name in enumerate(KINDS[:-1])}
    return Diagnosis(tiou, now, {**count, "misses": len(truth) - len(matched)}, gain)


def _kinds(
    truth: SegmentTable, predictions: SegmentTable, true: Int[np.ndarray, " matches"], tiou: float
) -> Int[np.ndarray, " n"]:
    """Return the index into KINDS of every prediction, or -1 for true positives."""
    near = overlaps(truth, predictions, by_class=False, at_least=min(NEAR, tiou), empty_union=0.0)
    same = truth.label[near.truth] == predictions.label[near.prediction]

    def any_at(least: float, pairs: np.ndarray) -> np.ndarray:
        reached = np.zeros(len(predictions), bool)
        reached[near.prediction[pairs & (near.tiou >= least)]] = True
        return reached

    kind = np.select(
        [any_at(tiou, same), any_at(tiou, ~same), any_at(min(NEAR, tiou), same), any_at(min(NEAR, tiou), ~same)],
        [KINDS.index("double"), KINDS.index("confusion"), KINDS.index("localization"), KINDS.index("confusion")],
        default=KINDS.index("background"),
    )
    kind[true] = -1
    return kind
