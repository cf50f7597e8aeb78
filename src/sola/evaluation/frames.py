"""Evaluate detections frame by frame: segmentation figures, and mAP over frames with several classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sola.core.checks import at_least, positive
from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.detections import Detections
from sola.data.segments import SegmentTable, frame_labels, frame_spans
from sola.evaluation.joining import annotations_of, join
from sola.evaluation.metrics.frame_precision import frame_average_precision
from sola.evaluation.metrics.segmentation import OVERLAPS, Segmentation, segmentation

LEFT_OUT = "are left out"


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Counts and warnings of a result over frames."""

    predictions: int
    """Number of predictions."""
    frames: int
    """Number of evaluated frames."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the counts and warnings."""
        return {"predictions": self.predictions, "frames": self.frames, "warnings": list(self.warnings)}


@dataclass(frozen=True, eq=False)
class SegmentationResult(FrameResult):
    """Frame accuracy, Edit score and F1."""

    figures: Segmentation

    def to_json(self) -> dict[str, Any]:
        """Return the figures as fractions, the counts and the warnings."""
        found = self.figures
        f1 = {f"{overlap:.2f}": value for overlap, value in zip(OVERLAPS, found.f1, strict=True)}
        return {"accuracy": found.accuracy, "edit": found.edit, "F1": f1, **super().to_json()}


@dataclass(frozen=True, eq=False)
class FrameMapResult(FrameResult):
    """Average precision over frames."""

    classes: tuple[str, ...]
    """Classes of at least one frame."""
    ap: Float[np.ndarray, " classes"]
    """Average precision of each class, as a fraction."""

    @property
    def map(self) -> float:
        """Mean average precision over classes."""
        return float(self.ap.mean())

    def to_json(self) -> dict[str, Any]:
        """Return mAP and the average precision of each class as fractions, the counts and the warnings."""
        per_class = dict(zip(self.classes, self.ap.tolist(), strict=True))
        return {"frame_mAP": self.map, "per_class": per_class, **super().to_json()}


def evaluate_segmentation(
    detections: Detections,
    truth: Annotations | Dataset,
    *,
    fps: float | None = None,
    min_score: float | None = None,
    background: bool = False,
    id_prefix: str | None = None,
) -> SegmentationResult:
    """Measure frame accuracy, Edit score and F1 of detections, with one class per frame (see `metrics.segmentation`).

    A frame has the class of the detection with the highest score that covers it, or none. Where annotated instances
    overlap, the frame has the class of the last one.

    Args:
        detections: detections in seconds, as read by `read_detections`.
        truth: annotated videos to evaluate, such as a subset.
        fps: frames per second, or None for the rate in the annotations.
        min_score: minimum score of a detection, or None for all. Frames without a detection are background.
        background: whether stretches of background count as segments in Edit and F1.
        id_prefix: prefix of video ids on one side only, or None to detect it.

    Raises:
        SolaError: if there is no instance, the annotations know no video or no label of the detections, or the duration
            or frame rate of a video is unknown.

    Examples:
        >>> import sola
        >>> truth = sola.read_annotations("annotations.json").subset("validation")
        >>> perfect = {video: record.segments for video, record in truth.videos.items()}
        >>> result = sola.evaluate_segmentation(sola.Detections.of(perfect, truth.classes), truth, fps=4.0)
        >>> result.figures.accuracy, result.figures.edit
        (1.0, 1.0)
    """
    annotations = annotations_of(truth)
    joined = join(detections, annotations, labeled=True, id_prefix=id_prefix, elsewhere=LEFT_OUT)
    spans = [_span(annotations, video, fps) for video in annotations.videos]
    least = -np.inf if min_score is None else min_score
    found = joined.predictions.take(joined.predictions.score >= least)
    pairs, several = [], 0
    for span, predicted, annotated in zip(
        spans, _by_video(found, len(spans)), _by_video(joined.truth, len(spans)), strict=True
    ):
        pairs.append((frame_labels(predicted, *span), frame_labels(annotated, *span)))
        several += _several(annotated, *span)
    warnings = joined.warnings
    if several:
        warnings += (f"{several} frames have several annotated classes, of which one counts",)
    frames = sum(count for count, _ in spans)
    return SegmentationResult(
        int((detections.table.score >= least).sum()), frames, warnings, segmentation(pairs, background=background)
    )


def evaluate_frames(
    detections: Detections,
    truth: Annotations | Dataset,
    *,
    fps: float | None = None,
    points: int | None = None,
    id_prefix: str | None = None,
) -> FrameMapResult:
    """Measure the per-frame mAP of detections; a frame may have several classes (see `metrics.frame_precision`).

    The score of a class at a frame is the highest score of its detections that cover the frame, ends included. Frames
    without a detection of the class rank last. Classes that no frame has are left out of the mean.

    Args:
        detections: detections in seconds, as read by `read_detections`.
        truth: annotated videos to evaluate, such as a subset.
        fps: frames per second, or None for the rate in the annotations.
        points: number of equally spaced points per video to evaluate instead of its frames, from time 0 on. The
            protocol of Charades has 25.
        id_prefix: prefix of video ids on one side only, or None to detect it.

    Raises:
        SolaError: if there is no instance, the annotations know no video or no label of the detections, or the duration
            or frame rate of a video is needed and unknown.

    Examples:
        >>> import sola
        >>> truth = sola.read_annotations("annotations.json").subset("validation")
        >>> perfect = {video: record.segments for video, record in truth.videos.items()}
        >>> sola.evaluate_frames(sola.Detections.of(perfect, truth.classes), truth, fps=4.0).map
        1.0
    """
    annotations = annotations_of(truth)
    joined = join(detections, annotations, labeled=True, id_prefix=id_prefix, elsewhere=LEFT_OUT)
    at_least(1, points=points)
    times = []
    for video in annotations.videos:
        if points is not None:
            times.append(np.arange(points) / points * _duration(annotations, video))
        else:
            count, rate = _span(annotations, video, fps)
            times.append(np.arange(count) / rate)
    instances, found = _Placed.of(joined.truth, times), _Placed.of(joined.predictions, times)
    names, values = [], []
    for label, name in enumerate(annotations.classes):
        present = instances.scores(label) > -np.inf
        if present.any():
            names.append(name)
            values.append(frame_average_precision(found.scores(label), present))
    if not names:
        raise SolaError("no annotated instance covers a frame; pass a higher --fps")
    return FrameMapResult(
        len(detections.table), sum(map(len, times)), joined.warnings, tuple(names), np.array(values, np.float64)
    )


def _duration(annotations: Annotations, video: str) -> float:
    duration = annotations.videos[video].duration
    if duration is None:
        raise SolaError(
            f"{annotations.source or 'the annotations'}: video {video!r}: the duration is unknown, and with it the "
            "number of frames; add it to the annotations"
        )
    return duration


def _span(annotations: Annotations, video: str, fps: float | None) -> tuple[int, float]:
    """Return the number of frames of a video, and their rate."""
    positive(fps=fps)
    rate = fps or annotations.videos[video].fps
    if rate is None:
        raise SolaError(
            f"{annotations.source or 'the annotations'}: video {video!r}: the frame rate is unknown; pass --fps"
        )
    return round(_duration(annotations, video) * rate), rate


def _by_video(table: SegmentTable, videos: int) -> Iterator[SegmentTable]:
    """Yield the segments of each annotated video, lowest score first and in the order of the file."""
    known = table.take(np.flatnonzero((table.label >= 0) & (table.video < videos)))
    known = known.take(np.lexsort((known.score, known.video)))
    edges = np.searchsorted(known.video, np.arange(videos + 1))
    for first, last in pairwise(edges.tolist()):
        yield known.take(slice(first, last))


def _several(segments: SegmentTable, frames: int, rate: float) -> int:
    """Return the number of frames with several classes; one with three counts twice."""
    covered = {label: np.zeros(frames, bool) for label in set(segments.label.tolist())}
    for label, span in frame_spans(segments, frames, rate):
        covered[label][span] = True
    classes = sum(covered.values(), np.zeros(frames, np.int64))
    return int((classes - 1).clip(min=0).sum())


@dataclass(frozen=True, eq=False)
class _Placed:
    """Segments, lowest score first, as ranges of the moments of all videos in a row."""

    label: Int[np.ndarray, " segments"]
    score: Float[np.ndarray, " segments"]
    first: Int[np.ndarray, " segments"]
    last: Int[np.ndarray, " segments"]
    moments: int
    """Number of moments of all videos."""

    @classmethod
    def of(cls, table: SegmentTable, times: list[np.ndarray]) -> "_Placed":
        """Place the segments of the annotated videos; both ends of a segment count."""
        labels, scores, firsts, lasts, offset = [], [], [], [], 0
        for segments, moments in zip(_by_video(table, len(times)), times, strict=True):
            labels.append(segments.label)
            scores.append(segments.score)
            firsts.append(offset + np.searchsorted(moments, segments.start, side="left"))
            lasts.append(offset + np.searchsorted(moments, segments.end, side="right"))
            offset += len(moments)
        label, score, first, last = map(np.concatenate, (labels, scores, firsts, lasts))
        return cls(label, score, first, last, offset)

    def scores(self, label: int) -> Float[np.ndarray, " moments"]:
        """Return the highest score of a class at each moment; -inf where no segment covers it."""
        found = np.full(self.moments, -np.inf)
        chosen = np.flatnonzero(self.label == label)
        for begin, end, score in zip(self.first[chosen], self.last[chosen], self.score[chosen], strict=True):
            found[begin:end] = score  # within a video, the lowest score comes first
        return found
