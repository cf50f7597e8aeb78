"""Diagnosis of errors: the gain in mAP without each kind of error."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from sola.data.segments import SegmentTable
from sola.evaluation.metrics.matching import Matching, interpolated
from sola.evaluation.metrics.overlaps import overlaps, places

KINDS = ("localization", "confusion", "double", "background", "misses")

NEAR = 0.1
"""Minimum tIoU of a localization error with an instance (DETAD)."""


@dataclass(frozen=True)
class Diagnosis:
    """Errors at one threshold, by kind."""

    tiou: float
    mean_ap: float
    """mAP at that threshold, a fraction."""
    count: Mapping[str, int]
    """Predictions of that kind; for misses, instances."""
    gain: Mapping[str, float]
    """mAP gained if that kind were gone, a fraction."""

    @property
    def share(self) -> Mapping[str, float]:
        """Gain of each kind over the sum of all gains; 0 if there is no gain."""
        total = sum(self.gain.values())
        return {kind: gain / total if total > 0 else 0.0 for kind, gain in self.gain.items()}


def diagnose(matching: Matching, predictions: SegmentTable, threshold: int = 0) -> Diagnosis:
    """Sort the errors at one threshold of a matching into kinds, and measure the gain in mAP without each.

    The kind of an unmatched prediction is the first that holds: *double* if it reaches the threshold with an instance
    of its class; *confusion* if it does with one of another class; *localization* if it overlaps one of its class by
    .1; *confusion* if it overlaps any by .1; else *background*. A *miss* is an instance without a match. Without
    misses, those instances are left out. After DETAD (Alwassel et al., ECCV 2018) and TIDE (Bolya et al., ECCV 2020).
    """
    truth, tiou = matching.truth, matching.tiou[threshold]
    true, found = matching.predictions[threshold], matching.instances[threshold]
    instances = np.bincount(truth.label)
    kind = _kinds(truth, predictions, true, tiou)

    def mean_ap(dropped: int) -> float:
        rank = places(matching.order, predictions.label, kind != dropped)
        ap = interpolated(predictions.label[true], rank[true], instances)
        return float(ap[instances > 0].mean())

    now = mean_ap(len(KINDS))
    gain = {name: mean_ap(i) - now for i, name in enumerate(KINDS[:-1])}
    reached = np.bincount(truth.label[found], minlength=len(instances))
    ap = interpolated(predictions.label[true], matching.rank[true], reached)
    # classes without any match would have no instances left
    gain["misses"] = float(ap[reached > 0].mean()) - now if reached.any() else 0.0
    count = {name: int((kind == i).sum()) for i, name in enumerate(KINDS[:-1])}
    return Diagnosis(tiou, now, {**count, "misses": len(truth) - len(found)}, gain)


def _kinds(
    truth: SegmentTable, predictions: SegmentTable, true: Int[np.ndarray, " matches"], tiou: float
) -> Int[np.ndarray, " n"]:
    """Return the index into KINDS of every prediction; -1 for true positives."""
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
