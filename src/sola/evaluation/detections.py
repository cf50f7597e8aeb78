"""Evaluate detections and proposals against annotations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.detections import Detections
from sola.evaluation.joining import annotations_of, join
from sola.evaluation.metrics.average_precision import (
    AveragePrecision,
    LengthBin,
    average_precision_by_length,
    of_matching,
)
from sola.evaluation.metrics.average_recall import AverageRecall, average_recall
from sola.evaluation.metrics.diagnosis import Diagnosis, diagnose
from sola.evaluation.metrics.matching import match
from sola.evaluation.metrics.protocol import ACTIVITYNET, Protocol
from sola.evaluation.metrics.top_recall import TopRecall, top_recall

NO_MATCH = "count, but match nothing"
"""How proposals in videos without annotations are treated."""

AR_AT = (1, 5, 10, 100)
"""Average numbers of proposals at which average recall is reported."""


@dataclass(frozen=True, eq=False)
class _Result:
    predictions: int
    """Number of predictions."""
    instances: int
    """Number of instances counted by the protocol."""
    warnings: tuple[str, ...]

    def _counts(self) -> dict[str, Any]:
        return {"predictions": self.predictions, "instances": self.instances, "warnings": list(self.warnings)}


@dataclass(frozen=True, eq=False)
class DetectionResult(_Result):
    """Detection mAP and the other requested metrics."""

    average_precision: AveragePrecision
    classes: tuple[str, ...]
    """Class names, indexed by label."""
    recall: TopRecall | None = None
    """Recall@kx, if requested with `top`."""
    lengths: tuple[LengthBin, ...] = ()
    """mAP by instance length, if requested with `diagnosed`."""
    diagnosis: Diagnosis | None = None
    """Error types, if requested with `diagnosed`."""

    @property
    def average_map(self) -> float:
        """Mean of mAP over tIoU thresholds, as a fraction."""
        return self.average_precision.mean

    def to_json(self) -> dict[str, Any]:
        """Return average mAP, mAP by threshold and by class (fractions), counts and warnings."""
        ap, recall, diagnosis = self.average_precision, self.recall, self.diagnosis
        per_class = zip(ap.classes, ap.ap.mean(axis=0), strict=True)
        values = {
            "average_mAP": ap.mean,
            "mAP": by_threshold(ap.tiou, ap.by_tiou),
            "per_class": {self.classes[label]: float(value) for label, value in per_class},
            **self._counts(),
        }
        if recall is not None:
            values["recall"] = {
                f"{k}x": by_threshold(recall.tiou, column) for k, column in zip(recall.k, recall.recall.T, strict=True)
            }
        if diagnosis is not None:
            values["per_length"] = {
                group.name: {
                    "above": group.low,
                    "up_to": group.high if np.isfinite(group.high) else None,
                    "instances": group.instances,
                    "average_mAP": group.mean,
                }
                for group in self.lengths
            }
            kinds = {
                kind: {"count": count, "gain": diagnosis.gain[kind], "share": diagnosis.share[kind]}
                for kind, count in diagnosis.count.items()
            }
            values["diagnosis"] = {"tiou": diagnosis.tiou, "mAP": diagnosis.mean_ap, **kinds}
        return values


@dataclass(frozen=True, eq=False)
class ProposalResult(_Result):
    """Average recall of proposals."""

    average_recall: AverageRecall

    def to_json(self) -> dict[str, Any]:
        """Return the AUC (percent), AR (fractions), counts and warnings."""
        curve = self.average_recall
        return {"AUC": 100 * curve.auc, "AR": {str(number): curve.at(number) for number in AR_AT}, **self._counts()}


def evaluate(
    detections: Detections,
    truth: Annotations | Dataset,
    *,
    tiou: Sequence[float] = ACTIVITYNET.tiou,
    protocol: Protocol = "official",
    top: Sequence[int] = (),
    diagnosed: bool = False,
    lengths: Sequence[float] = ACTIVITYNET.lengths,
    id_prefix: str | None = None,
) -> DetectionResult:
    """Compute the mAP of detections, as ActivityNet's evaluator does (see `metrics.average_precision`).

    Args:
        detections: detections with segments in seconds.
        truth: annotated videos to evaluate, usually one subset.
        tiou: tIoU thresholds of mAP.
        protocol: "official" counts all instances; "filtered" drops duplicate and zero-length instances.
        top: values of k for Recall@kx.
        diagnosed: also classify the errors at the first threshold, and compute mAP by instance length.
        lengths: ascending boundaries (seconds) between instance lengths.
        id_prefix: prefix of video ids in either detections or annotations; None detects it.

    Returns:
        mAP, counts, warnings about unusual input, and the other requested metrics.

    Raises:
        SolaError: if there are no instances, a threshold is outside (0, 1], or none of the videos or none of the labels
            of the detections is annotated.

    Examples:
        >>> import sola
        >>> truth = sola.read_annotations("annotations.json").subset("validation")
        >>> detections = sola.read_detections("detections.json")
        >>> result = sola.evaluate(detections, truth, tiou=(0.3, 0.5, 0.7))
        >>> 0 <= result.average_map <= 1
        True
        >>> list(result.to_json()["mAP"])
        ['0.30', '0.50', '0.70']

        Annotated segments used as detections are perfect:

        >>> perfect = sola.Detections.of({name: video.segments for name, video in truth.videos.items()}, truth.classes)
        >>> sola.evaluate(perfect, truth).average_map
        1.0
    """
    joined = join(detections, annotations_of(truth), labeled=True, id_prefix=id_prefix, protocol=protocol)
    matching = match(joined.truth, joined.predictions, tiou, protocol)
    return DetectionResult(
        len(detections.table),
        len(matching.truth),
        joined.warnings,
        of_matching(matching, joined.predictions),
        joined.classes,
        top_recall(joined.truth, joined.predictions, tiou, top, protocol) if top else None,
        average_precision_by_length(matching, joined.predictions, lengths) if diagnosed else (),
        diagnose(matching, joined.predictions) if diagnosed else None,
    )


def evaluate_proposals(
    proposals: Detections,
    truth: Annotations | Dataset,
    *,
    tiou: Sequence[float] = ACTIVITYNET.tiou,
    protocol: Protocol = "official",
    id_prefix: str | None = None,
) -> ProposalResult:
    """Compute the average recall of class-agnostic proposals, as ActivityNet's evaluator does.

    Labels are ignored. See `metrics.average_recall`.

    Args:
        proposals: proposals with segments in seconds.
        truth: annotated videos to evaluate, usually one subset.
        tiou: tIoU thresholds over which recall is averaged.
        protocol: "official" counts all instances; "filtered" drops duplicate and zero-length instances.
        id_prefix: prefix of video ids in either proposals or annotations; None detects it.

    Returns:
        Recall against the average number of proposals per video, its AUC, counts and warnings.

    Raises:
        SolaError: if there are no instances, a threshold is outside (0, 1], or none of the videos of the proposals is
            annotated.

    Examples:
        >>> import sola
        >>> truth = sola.read_annotations("annotations.json").subset("validation")
        >>> result = sola.evaluate_proposals(sola.read_detections("detections.json"), truth)
        >>> list(result.to_json()["AR"])
        ['1', '5', '10', '100']
        >>> result.average_recall.at(10) <= result.average_recall.at(100)
        True
    """
    joined = join(
        proposals, annotations_of(truth), labeled=False, id_prefix=id_prefix, protocol=protocol, elsewhere=NO_MATCH
    )
    curve = average_recall(joined.truth, joined.predictions, tiou, protocol)
    return ProposalResult(len(proposals.table), curve.instances, joined.warnings, curve)


def by_threshold(tiou: Sequence[float], values: Sequence[float] | np.ndarray) -> Mapping[str, float]:
    """Return values by threshold name."""
    return {threshold_name(threshold): float(value) for threshold, value in zip(tiou, values, strict=True)}


def threshold_name(threshold: float) -> str:
    """Format a threshold as "0.50", with more digits only if needed."""
    return max(f"{threshold:.2f}", f"{threshold:.6g}", key=len)
