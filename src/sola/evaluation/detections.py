"""Detections against annotations: whose ids and labels are whose, what is odd about them, and the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.detections import UNLABELED, Detections
from sola.data.ids import match_videos
from sola.data.segments import SegmentTable
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

OUTSIDE = 1e-3
"""Seconds that a segment may leave its video by before it is counted: file formats round."""

AR_AT = (1, 5, 10, 100)
"""The averages of proposals that papers report."""


@dataclass(frozen=True, eq=False)
class Joined:
    """Instances and predictions with common indices of videos and classes, and what was odd in joining them."""

    truth: SegmentTable
    predictions: SegmentTable
    """Videos that the annotations lack come after all annotated ones; an unknown label is -1."""
    classes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """Detection mAP with what was asked for beside it."""

    average_precision: AveragePrecision
    classes: tuple[str, ...]
    predictions: int
    instances: int
    warnings: tuple[str, ...]
    recall: TopRecall | None = None
    lengths: tuple[LengthBin, ...] = ()
    diagnosis: Diagnosis | None = None

    def to_json(self) -> dict[str, Any]:
        """Average mAP, mAP by threshold and by class, as fractions; counts; warnings."""
        ap = self.average_precision
        values: dict[str, Any] = {
            "average_mAP": ap.mean,
            "mAP": by_threshold(ap.tiou, ap.by_tiou),
            "per_class": {
                self.classes[label]: float(value) for label, value in zip(ap.classes, ap.ap.mean(axis=0), strict=True)
            },
            "predictions": self.predictions,
            "instances": self.instances,
            "warnings": list(self.warnings),
        }
        if self.recall is not None:
            values["recall"] = {
                f"{k}x": by_threshold(self.recall.tiou, self.recall.recall[:, i]) for i, k in enumerate(self.recall.k)
            }
        if self.diagnosis is not None:
            values["per_length"] = {
                one.name: {
                    "above": one.low,
                    "up_to": one.high if np.isfinite(one.high) else None,
                    "instances": one.instances,
                    "average_mAP": one.mean,
                }
                for one in self.lengths
            }
            values["diagnosis"] = {
                "tiou": self.diagnosis.tiou,
                "mAP": self.diagnosis.mean_ap,
                **{
                    kind: {
                        "count": self.diagnosis.count[kind],
                        "gain": self.diagnosis.gain[kind],
                        "share": self.diagnosis.share[kind],
                    }
                    for kind in self.diagnosis.count
                },
            }
        return values


@dataclass(frozen=True, eq=False)
class ProposalResult:
    """Recall of proposals."""

    average_recall: AverageRecall
    predictions: int
    instances: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """AUC in per cent; AR as fractions; counts; warnings."""
        curve = self.average_recall
        return {
            "AUC": 100 * curve.auc,
            "AR": {str(number): curve.at(number) for number in AR_AT},
            "predictions": self.predictions,
            "instances": self.instances,
            "warnings": list(self.warnings),
        }


def evaluate_detections(
    detections: Detections,
    annotations: Annotations,
    *,
    tiou: Sequence[float] = ACTIVITYNET.tiou,
    protocol: Protocol = "official",
    top: Sequence[int] = (),
    diagnosed: bool = False,
    lengths: Sequence[float] = ACTIVITYNET.lengths,
    id_prefix: str | None = None,
) -> DetectionResult:
    """Measure detections against one subset's annotations (see `metrics.average_precision`), in seconds.

    Args:
        detections: as read by `read_detections`.
        annotations: the videos to be evaluated on, as `Annotations.subset` returns them.
        tiou: thresholds of mAP.
        protocol: `official` or `filtered`.
        top: ks of Recall@kx; none unless given.
        diagnosed: also sort the errors into kinds at the first threshold, and split mAP by length.
        lengths: ascending seconds between short and long instances.
        id_prefix: what video ids begin with on one side only; found by itself where it can be.

    Raises SolaError when there is no instance, or when no video or no label is known to the annotations.
    """
    joined = join(detections, annotations, labeled=True, id_prefix=id_prefix)
    matching = match(joined.truth, joined.predictions, tiou, protocol)
    return DetectionResult(
        of_matching(matching, joined.predictions),
        joined.classes,
        len(detections.table),
        len(matching.truth),
        joined.warnings,
        top_recall(joined.truth, joined.predictions, tiou, top, protocol) if top else None,
        average_precision_by_length(matching, joined.predictions, lengths) if diagnosed else (),
        diagnose(matching, joined.predictions) if diagnosed else None,
    )


def evaluate_proposals(
    proposals: Detections,
    annotations: Annotations,
    *,
    tiou: Sequence[float] = ACTIVITYNET.tiou,
    protocol: Protocol = "official",
    id_prefix: str | None = None,
) -> ProposalResult:
    """Measure the recall of class-agnostic proposals against one subset's annotations (see `metrics.average_recall`).

    Labels are not looked at. Raises SolaError when there is no instance, or when no video is known.
    """
    joined = join(proposals, annotations, labeled=False, id_prefix=id_prefix)
    curve = average_recall(joined.truth, joined.predictions, tiou, protocol)
    return ProposalResult(curve, len(proposals.table), curve.instances, joined.warnings)


def join(detections: Detections, annotations: Annotations, *, labeled: bool, id_prefix: str | None) -> Joined:
    """Give instances and predictions common indices, and note what is odd about the predictions.

    Raises SolaError when there is no instance, or when no video or (if `labeled`) no label is known.
    """
    truth = SegmentTable.joined([record.segments for record in annotations.videos.values()])
    if len(truth) == 0:
        raise SolaError(f"the {len(annotations.videos)} annotated videos have no instance: nothing can be found")
    if len(detections.table) == 0:
        return Joined(truth, SegmentTable.empty(), annotations.classes, ("there is no prediction",))
    warnings = []
    ids = match_videos(detections.videos, annotations.videos, id_prefix, "predictions")
    position = {video: index for index, video in enumerate(annotations.videos)}
    beyond = len(position)
    video = np.array(
        [position[ids.videos[v]] if v in ids.videos else beyond + i for i, v in enumerate(detections.videos)]
    )[detections.table.video]
    lost = int((video >= beyond).sum())
    if lost:
        effect = "are false positives" if labeled else "count, and find nothing"
        warnings.append(
            f"{_videos(len(ids.unmatched))} of the predictions (such as {ids.unmatched[0]!r}) are not among the "
            f"annotated ones: their {lost} predictions {effect}"
        )
    if ids.unmatched_annotated:
        warnings.append(
            f"{_videos(len(ids.unmatched_annotated))} of {len(position)} annotated ones have no prediction "
            f"(such as {ids.unmatched_annotated[0]!r})"
        )
    label = _labels(detections, annotations, warnings) if labeled else np.zeros(len(video), np.int64)
    predictions = SegmentTable(
        detections.table.start, detections.table.end, label, detections.table.score, video.astype(np.int64)
    )
    warnings += _odd(predictions, annotations)
    return Joined(truth, predictions, annotations.classes, tuple(warnings))


def _labels(detections: Detections, annotations: Annotations, warnings: list[str]) -> np.ndarray:
    """Return the annotations' index of every prediction's class, -1 for an unknown one."""
    position = {name: index for index, name in enumerate(annotations.classes)}
    unknown = [name for name in detections.classes if name not in position]
    if len(unknown) == len(detections.classes):
        found = "no label" if unknown == [UNLABELED] else f"such as {unknown[0]!r}"
        raise SolaError(
            f"no label of the predictions ({found}) is a class of the annotations (such as "
            f"{annotations.classes[0]!r}); without classes, use `sola evaluate --proposals`, or name the field of the "
            "annotations by --label-key"
        )
    label: np.ndarray = np.array([position.get(name, -1) for name in detections.classes])[detections.table.label]
    if unknown:
        named = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
        warnings.append(
            f"{int((label < 0).sum())} predictions have labels that the annotations lack ({named}): they change nothing"
        )
    return label


def _odd(predictions: SegmentTable, annotations: Annotations) -> list[str]:
    """Count segments that end before they start, and those that leave their video."""
    durations = [np.inf if v.duration is None else v.duration for v in annotations.videos.values()]
    known = predictions.video < len(durations)
    inverted = int((predictions.end < predictions.start).sum())
    end = np.array([*durations, np.inf])[np.where(known, predictions.video, len(durations))] + OUTSIDE
    outside = int(((predictions.start < -OUTSIDE) | (predictions.end > end)).sum())
    said = []
    if inverted:
        said.append(f"{inverted} predictions end before they start: they find nothing")
    if outside:
        said.append(f"{outside} predictions reach outside their video: evaluated as given")
    return said


def _videos(count: int) -> str:
    return f"{count} video{'s' if count != 1 else ''}"


def by_threshold(tiou: Sequence[float], values: Sequence[float] | np.ndarray) -> Mapping[str, float]:
    """Return values by threshold, named as in tables: "0.50", with as many digits as it takes to tell them apart."""
    return {threshold_name(threshold): float(value) for threshold, value in zip(tiou, values, strict=True)}


def threshold_name(threshold: float) -> str:
    """Return a threshold as "0.50", with more digits only where it has them."""
    return max(f"{threshold:.2f}", f"{threshold:.6g}", key=len)
