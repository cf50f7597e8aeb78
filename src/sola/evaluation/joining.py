"""Match predictions with annotations by video and class, and warn about unusual input."""

from dataclasses import dataclass

import numpy as np

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, Detections
from sola.data.findings import annotation_findings
from sola.data.ids import match_videos
from sola.data.segments import SegmentTable
from sola.evaluation.metrics.protocol import Protocol

OUTSIDE = 1e-3
"""Tolerance (seconds) at the ends of a video, because file formats round."""


@dataclass(frozen=True, eq=False)
class Joined:
    """Instances and predictions with common video and class indices."""

    truth: SegmentTable
    predictions: SegmentTable
    """Videos without annotations are numbered after all annotated videos. An unknown label is -1."""
    classes: tuple[str, ...]
    warnings: tuple[str, ...]


def annotations_of(truth: Annotations | Dataset) -> Annotations:
    """Return the annotations of a data set. Raises SolaError if it has none."""
    annotations = truth.annotations if isinstance(truth, Dataset) else truth
    if annotations is None:
        raise SolaError("the data set has no annotations to evaluate against; open it with annotations")
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
    """Map instances and predictions to common video and class indices, and collect warnings about unusual input.

    `elsewhere` is the text of the warning about predictions in videos without annotations. Raises SolaError if there
    are no instances, or if none of the predicted videos or, with `labeled`, none of the predicted labels is annotated.
    """
    truth = SegmentTable.joined([record.segments for record in annotations.videos.values()])
    if len(truth) == 0:
        raise SolaError(f"the {len(annotations.videos)} annotated videos have no instance; nothing to evaluate")
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
    """Return the annotated class index of every prediction, or -1 for an unknown class."""
    position = {name: index for index, name in enumerate(annotations.classes)}
    unknown = [name for name in detections.classes if name not in position]
    if len(unknown) == len(detections.classes):
        example = "no label" if unknown == [UNLABELED] else f"such as {unknown[0]!r}"
        raise SolaError(
            f"no label of the predictions ({example}) is a class of the annotations (such as "
            f"{annotations.classes[0]!r}); for predictions without classes use `sola evaluate --proposals`, or select "
            "the class field of the annotations with --label-key"
        )
    label: np.ndarray = np.array([position.get(name, -1) for name in detections.classes])[detections.table.label]
    if unknown:
        named = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
        warnings.append(
            f"{int((label < 0).sum())} predictions have labels that the annotations lack ({named}): they change nothing"
        )
    return label


def _odd(predictions: SegmentTable, annotations: Annotations) -> list[str]:
    """Return warnings about segments that end before they start or extend outside their video."""
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
