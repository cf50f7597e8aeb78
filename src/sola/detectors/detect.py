"""Detect actions in a data set with a trained detector."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.data.class_scores import VideoScores
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, Detections
from sola.data.features import none_left
from sola.data.segments import Segments, SegmentTable
from sola.detectors.base import Detector
from sola.detectors.clips import Clips, cut
from sola.detectors.postprocess.classes import fuse, share_of_top_two, snippet_class_scores
from sola.detectors.postprocess.soft_nms import suppress
from sola.detectors.postprocess.voting import vote
from sola.detectors.trained import TrainedDetector

VIDEOS_AT_A_TIME = 64
"""Number of videos whose candidates are in memory at the same time."""


def detect(
    detector: TrainedDetector,
    data: Dataset,
    *,
    scores: VideoScores | None = None,
    combine: Literal["product", "sqrt"] = "product",
    device: Device = "auto",
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Detections:
    """Detect the actions in every video.

    The proposals of a detector without classes get their classes from `scores`, or else from the snippet classifier of
    the detector. If there is neither, they stay unlabeled.

    Args:
        detector: trained detector.
        data: features [time, channels] of the videos.
        scores: class scores of an external video classifier, with the classes of the detector in the same order.
        combine: "product" multiplies the scores of proposal and class; "sqrt" takes the square root of the product.
        device: device to run on.
        skipped: dictionary that receives the reason for each skipped video with a bad file, by id in the features.
        progress: function that is called with the number of finished videos and the number of all videos.

    Returns:
        Segments (seconds) with class and score, sorted by descending score within each video.

    Raises:
        SolaError: if the features do not match the training features, a file is bad, or `scores` lacks a video or has
            other classes.

    Examples:
        >>> import sola
        >>> detector = sola.TrainedDetector.load("detector")
        >>> data = sola.Dataset.open("softened", "annotations.json").subset("validation")
        >>> detections = sola.detect(detector, data)
        >>> detections.videos
        ('validation_0000', 'validation_0001', 'validation_0002')
        >>> sola.write_detections("new_detections.json", detections.by_video(), detections.classes)
    """
    detector.check_timing(data)
    segments = propose(detector, data, device=device, skipped=skipped, progress=progress)
    if detector.config.predicts_classes:
        return Detections.of(segments, detector.classes)
    if scores is None and detector.classifier is None:
        return Detections.of(segments, (UNLABELED,))
    return Detections.of(classify_proposals(detector, data, segments, scores=scores, combine=combine), detector.classes)


@torch.inference_mode()
def propose(
    detector: TrainedDetector,
    data: Dataset,
    *,
    device: Device = "auto",
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Segments]:
    """Return the segments of each video after suppression.

    A detector with classes returns detections. A detector without classes returns proposals with label 0, and
    `classify_proposals` assigns their classes. The candidates of all clips of a video are merged before suppression.

    Args:
        detector: trained detector.
        data: features [time, channels] of the videos.
        device: device to run on.
        skipped: dictionary that receives the reason for each skipped video with a bad file, by id in the features.
        progress: function that is called with the number of finished videos and the number of all videos.

    Returns:
        Segments (seconds) of each video by id, sorted by descending score.

    Raises:
        SolaError: if the features do not match the training features, or a file is bad.

    Examples:
        >>> import sola
        >>> detector = sola.TrainedDetector.load("detector")
        >>> data = sola.Dataset.open("softened", "annotations.json").subset("validation")
        >>> segments = sola.propose(detector, data)
        >>> list(segments)
        ['validation_0000', 'validation_0001', 'validation_0002']
    """
    detector.check_compatible(data.features.manifest)
    config, model, ids = detector.config, detector.model, [video.id for video in data.videos]
    channels = data.features.channels
    if channels != model.channels:
        raise SolaError(f"the features have {channels} channels, the detector was trained on {model.channels}")
    chosen_device = choose_device(device)
    model.to(chosen_device)
    bad: dict[str, str] = {} if skipped is None else skipped
    results: dict[str, Segments] = {}
    for begin in range(0, len(ids), VIDEOS_AT_A_TIME):
        chunk = data.only(ids[begin : begin + VIDEOS_AT_A_TIME])
        clips = cut(chunk, config.clipping(), keep_empty=True, skipped=bad)
        decoded = candidates(model, clips, config.detection_batch_size, chosen_device)
        by_video = [np.flatnonzero(clips.video == video).tolist() for video in range(len(clips.videos))]
        merged = [
            SegmentTable.joined([relative(decoded[i], clips, i, indices[0]) for i in indices]) for indices in by_video
        ]
        picks = suppress(
            merged,
            config.decay(),
            max_detections=config.max_detections,
            min_score=config.min_score,
            class_aware=config.predicts_classes,
            durations=[1.0] * len(merged),
        )
        columns = zip(clips.videos, picks, merged, by_video, clips.extents, strict=True)
        for video, segments, voters, indices, extent in columns:
            if config.voting_iou:
                segments = vote(segments, voters, iou=config.voting_iou, weight=config.voting_weight)
            results[video] = placed = in_seconds(segments, clips, indices[0])
            if config.clip_to_video:
                clipped = replace(placed, start=placed.start.clip(*extent), end=placed.end.clip(*extent))
                results[video] = clipped.take(clipped.end > clipped.start)
        progress(min(begin + VIDEOS_AT_A_TIME, len(ids)), len(ids))
    if ids and not results:
        raise none_left(bad, len(ids))
    return results


def candidates(model: Detector, clips: Clips, batch_size: int, device: torch.device) -> list[Segments]:
    """Return all segments decoded from each clip (units), before suppression."""
    decoded: list[Segments] = []
    for first in range(0, len(clips), batch_size):
        batch = range(first, min(first + batch_size, len(clips)))
        decoded += model.decode(model(*model.collate([clips.example(i).tensor(device) for i in batch])))
    return decoded


def relative(segments: Segments, clips: Clips, clip: int, first: int) -> Segments:
    """Convert segments of a clip from units to multiples of the length of the video's first clip, from its start.

    With this scale, videos with a single clip have the same candidates, and `suppress` is faster.
    """
    base, placement, length = clips.placements[first], clips.placements[clip], int(clips.lengths[clip])
    origin, scale = (placement.origin - base.origin) / (base.unit * length), placement.unit / base.unit / length
    return replace(segments, start=origin + scale * segments.start, end=origin + scale * segments.end)


def in_seconds(segments: Segments, clips: Clips, first: int) -> Segments:
    """Convert the segments of a video from multiples of the length of its first clip to seconds."""
    base = clips.placements[first]
    scale = base.unit * int(clips.lengths[first])
    return replace(segments, start=base.origin + scale * segments.start, end=base.origin + scale * segments.end)


def classify_proposals(
    detector: TrainedDetector,
    data: Dataset,
    proposals: Mapping[str, Segments],
    *,
    scores: VideoScores | None = None,
    combine: Literal["product", "sqrt"] = "product",
) -> dict[str, Segments]:
    """Assign classes to the proposals of a detector without classes.

    Each proposal becomes one detection for each of its `config.classes_per_proposal` most likely classes.

    Args:
        detector: trained detector.
        data: data set of the proposals.
        proposals: proposals (seconds) of each video by id, from `propose`; other videos of `data` are skipped.
        scores: class scores of an external video classifier, with the classes of the detector in the same order. By
            default, the snippet classifier of the detector scores the classes.
        combine: "product" multiplies the scores of proposal and class; "sqrt" takes the square root of the product.

    Returns:
        Detections (seconds) of each video by id, sorted by descending score.

    Raises:
        SolaError: if there is neither `scores` nor a snippet classifier, or if `scores` lacks a video or has other
            classes.

    Examples:
        >>> import sola
        >>> data = sola.Dataset.open("softened", "annotations.json")
        >>> settings = {"length": 16, "epochs": 1, "classifier_epochs": 1, "max_detections": 10}
        >>> detector = sola.train_detector(data.subset("training"), "bmn", "quick", out="bmn", quiet=True, **settings)
        >>> proposals = sola.propose(detector, data.subset("validation"))
        >>> detections = sola.classify_proposals(detector, data, proposals)
        >>> len(proposals["validation_0000"]), len(detections["validation_0000"])  # two classes for each proposal
        (10, 20)
    """
    classifier = detector.classifier
    if scores is None and classifier is None:
        raise SolaError("the detector has no snippet classifier; pass a file of class scores with --classifier")
    if scores is not None and scores.classes != detector.classes:
        raise SolaError(
            f"the {len(scores.classes)} classes of the scores differ from the {len(detector.classes)} classes of the "
            "detector, or have another order; pass classes=detector.classes to read_classifier"
        )
    top = min(detector.config.classes_per_proposal, len(detector.classes))
    labeled = {}
    for video in data.videos:
        if video.id not in proposals:
            continue
        if scores is not None:
            class_scores = scores.of(video.id)
        else:
            assert classifier is not None
            probabilities = classifier.probabilities(data.read(video))
            class_scores = snippet_class_scores(proposals[video.id], probabilities, video.grid)
        if detector.config.class_score == "share":
            class_scores = share_of_top_two(class_scores)
        detections = fuse(proposals[video.id], class_scores, classes_per_proposal=top, combine=combine)
        labeled[video.id] = detections.take(np.argsort(-detections.score, kind="stable"))
    return labeled
