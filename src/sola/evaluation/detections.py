"""Evaluation of detections and proposals against annotations: matching of ids and labels, warnings, metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, Detections
from sola.data.findings import annotation_findings
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
"""Tolerance at the ends of a video, in seconds: file formats round."""

NO_MATCH = "count, but match nothing"
"""What becomes of proposals in videos that the annotations lack."""

AR_AT = (1, 5, 10, 100)
"""Numbers of proposals at which papers report average recall."""


@dataclass(frozen=True, eq=False)
class Joined:
    """Instances and predictions with common indices of videos and classes."""

    truth: SegmentTable
    predictions: SegmentTable
    """Videos that the annotations lack come after all annotated ones; an unknown label is -1."""
    classes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Result:
    predictions: int
    """Number of predictions."""
    instances: int
    """Number of instances that count."""
    warnings: tuple[str, ...]

    def _counts(self) -> dict[str, Any]:
        return {"predictions": self.predictions, "instances": self.instances, "warnings": list(self.warnings)}


@dataclass(frozen=True, eq=False)
class DetectionResult(_Result):
    """Detection mAP, and the other metrics that were asked for."""

    average_precision: AveragePrecision
    classes: tuple[str, ...]
    recall: TopRecall | None = None
    lengths: tuple[LengthBin, ...] = ()
    diagnosis: Diagnosis | None = None

    @property
    def average_map(self) -> float:
        """The mean of the mAP over the tIoU thresholds, as a fraction."""
        return self.average_precision.mean

    def to_json(self) -> dict[str, Any]:
        """Return average mAP, mAP by threshold and by class, as fractions; counts; warnings."""
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
    """Recall of proposals."""

    average_recall: AverageRecall

    def to_json(self) -> dict[str, Any]:
        """Return the AUC in percent; AR as fractions; counts; warnings."""
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
    """Measure detections against the annotations of one subset (see `metrics.average_precision`), in seconds.

    Args:
        detections: as read by `read_detections`.
        truth: the annotated videos to evaluate, such as a subset.
        tiou: thresholds of mAP.
        protocol: `official` or `filtered`; see `Protocol`.
        top: values of k of Recall@kx.
        diagnosed: whether to sort the errors at the first threshold into kinds, and to split mAP by length.
        lengths: ascending bounds of the lengths, in seconds.
        id_prefix: prefix of video ids on one side only; None detects it.

    Raises SolaError when there is no instance, or when no video or no label is known to the annotations.
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
    """Measure the recall of class-agnostic proposals against one subset's annotations (see `metrics.average_recall`).

    Labels are not looked at. Raises SolaError when there is no instance, or when no video is known.
    """
    joined = join(
        proposals, annotations_of(truth), labeled=False, id_prefix=id_prefix, protocol=protocol, elsewhere=NO_MATCH
    )
    curve = average_recall(joined.truth, joined.predictions, tiou, protocol)
    return ProposalResult(len(proposals.table), curve.instances, joined.warnings, curve)


def annotations_of(truth: Annotations | Dataset) -> Annotations:
    """Return the annotations of a data set; raises SolaError if it has none."""
    annotations = truth.annotations if isinstance(truth, Dataset) else truth
    if annotations is None:
        raise SolaError("the data set has no annotations to evaluate against: open it with annotations")
    return annotations


def join(
    detections: Detections,
    annotations: Annotations,
    *,
    labeled: bool,
    id_prefix: str | None,
    protocol: Protocol = "official",
    elsewhere: str = "are false positives",
) -> Joined:
    """Give instances and predictions common indices, and warn about odd instances and predictions.

    `elsewhere` says what becomes of predictions in videos that the annotations lack. Raises SolaError when there is no
    instance, or when no video or (if `labeled`) no label is known.
    """
    truth = SegmentTable.joined([record.segments for record in annotations.videos.values()])
    if len(truth) == 0:
        raise SolaError(f"the {len(annotations.videos)} annotated videos have no instance: nothing to evaluate")
    if len(detections.table) == 0:
        return Joined(truth, SegmentTable.empty(), annotations.classes, ("there is no prediction",))
    detections = detections.labeled_as(annotations.classes)
    warnings = []
    ids = match_videos(detections.videos, annotations.videos, id_prefix, "predictions")
    warnings += [ids.note] if ids.note else []
    position = {video: index for index, video in enumerate(annotations.videos)}
    beyond = len(position)
    video = np.array(
        [position[ids.videos[v]] if v in ids.videos else beyond + i for i, v in enumerate(detections.videos)]
    )[detections.table.video]
    lost = int((video >= beyond).sum())
    if lost:
        warnings.append(
            f"{_videos(len(ids.unmatched))} of the predictions (such as {ids.unmatched[0]!r}) are not among the "
            f"annotated ones: their {lost} predictions {elsewhere}"
        )
    if ids.unmatched_annotated:
        warnings.append(
            f"{_videos(len(ids.unmatched_annotated))} of {len(position)} annotated ones have no prediction "
            f"(such as {ids.unmatched_annotated[0]!r})"
        )
    for finding in annotation_findings(annotations):
        dropped = protocol == "filtered" and finding.kind == "zero_length"
        warnings.append(f"{finding}: {'left out by --protocol filtered' if dropped else 'evaluated as annotated'}")
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
    """Return warnings about segments that end before they start, and about those that leave their video."""
    durations = [np.inf if v.duration is None else v.duration for v in annotations.videos.values()]
    end = np.array([*durations, np.inf])[np.minimum(predictions.video, len(durations))] + OUTSIDE
    inverted = int((predictions.end < predictions.start).sum())
    outside = int(((predictions.start < -OUTSIDE) | (predictions.end > end)).sum())
    warnings = {
        f"{inverted} predictions end before they start: they match nothing": inverted,
        f"{outside} predictions reach outside their video: evaluated as given": outside,
    }
    return [warning for warning, count in warnings.items() if count]


def _videos(count: int) -> str:
    return f"{count} video{'s' if count != 1 else ''}"


def by_threshold(tiou: Sequence[float], values: Sequence[float] | np.ndarray) -> Mapping[str, float]:
    """Return values by the names of their thresholds."""
    return {threshold_name(threshold): float(value) for threshold, value in zip(tiou, values, strict=True)}


def threshold_name(threshold: float) -> str:
    """Return a threshold as "0.50", with more digits only where it has them."""
    return max(f"{threshold:.2f}", f"{threshold:.6g}", key=len)
