"""Detecting actions in a data set with a trained detector: proposals and detections in seconds."""

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
"""Number of videos whose candidates are in memory together."""


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
    """Detect the actions in every video: segments in seconds with class and score, best first.

    The proposals of a detector without classes are named by `scores` or by its snippet classifier, and stay unlabeled
    if it has neither. `skipped` gets the reasons for videos with bad files, by id in the features.

    Raises SolaError as `propose` and `name_proposals` do.
    """
    detector.check_timing(data)
    segments = propose(detector, data, device=device, skipped=skipped, progress=progress)
    if detector.config.predicts_classes:
        return Detections.of(segments, detector.classes)
    if scores is None and detector.classifier is None:
        return Detections.of(segments, (UNLABELED,))
    return Detections.of(name_proposals(detector, data, segments, scores=scores, combine=combine), detector.classes)


@torch.inference_mode()
def propose(
    detector: TrainedDetector,
    data: Dataset,
    *,
    device: Device = "auto",
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Segments]:
    """Return the segments found in each video, in seconds, after suppression, best first.

    These are detections with classes, or proposals with label 0 where the detector predicts no classes, which
    `name_proposals` names. Clips of a video are merged before the suppression. `skipped` gets the reasons why videos
    with bad files were left out, by id in the features. Raises SolaError when the features went through another chain
    than the detector's, or a file is bad.
    """
    detector.check_compatible(data.features.manifest)
    config, model, ids = detector.config, detector.model, [video.id for video in data.videos]
    channels = data.features.channels
    if channels != model.channels:
        raise SolaError(f"the features have {channels} channels, the detector was trained on {model.channels}")
    where = choose_device(device)
    model.to(where)
    bad: dict[str, str] = {} if skipped is None else skipped
    found: dict[str, Segments] = {}
    for begin in range(0, len(ids), VIDEOS_AT_A_TIME):
        chunk = data.only(ids[begin : begin + VIDEOS_AT_A_TIME])
        clips = cut(chunk, config.clipping(), keep_empty=True, skipped=bad)
        decoded = candidates(model, clips, config.detection_batch_size, where)
        own = [np.flatnonzero(clips.video == video).tolist() for video in range(len(clips.videos))]
        merged = [SegmentTable.joined([relative(decoded[i], clips, i, clip[0]) for i in clip]) for clip in own]
        kept = suppress(
            merged,
            config.decay(),
            max_detections=config.max_detections,
            min_score=config.min_score,
            class_aware=config.predicts_classes,
            durations=[1.0] * len(merged),
        )
        for video, segments, voters, clip, extent in zip(clips.videos, kept, merged, own, clips.extents, strict=True):
            if config.voting_iou:
                segments = vote(segments, voters, iou=config.voting_iou, weight=config.voting_weight)
            found[video] = placed = in_seconds(segments, clips, clip[0])
            if config.clip_to_video:
                clipped = replace(placed, start=placed.start.clip(*extent), end=placed.end.clip(*extent))
                found[video] = clipped.take(clipped.end > clipped.start)
        progress(min(begin + VIDEOS_AT_A_TIME, len(ids)), len(ids))
    if ids and not found:
        raise none_left(bad, len(ids))
    return found


def candidates(model: Detector, clips: Clips, batch_size: int, device: torch.device) -> list[Segments]:
    """Return all segments decoded from each clip, in its units, before suppression."""
    decoded: list[Segments] = []
    for first in range(0, len(clips), batch_size):
        batch = range(first, min(first + batch_size, len(clips)))
        decoded += model.decode(model(*model.collate([clips.example(i).tensor(device) for i in batch])))
    return decoded


def relative(segments: Segments, clips: Clips, clip: int, first: int) -> Segments:
    """Return a clip's segments, given in its units, in lengths of the first clip of its video, from its start.

    In these lengths the candidates of all videos of one clip are the same, which `suppress` makes use of.
    """
    base, placement, length = clips.placements[first], clips.placements[clip], int(clips.lengths[clip])
    origin, scale = (placement.origin - base.origin) / (base.unit * length), placement.unit / base.unit / length
    return replace(segments, start=origin + scale * segments.start, end=origin + scale * segments.end)


def in_seconds(segments: Segments, clips: Clips, first: int) -> Segments:
    """Return segments of a video in seconds, given in lengths of its first clip."""
    base = clips.placements[first]
    scale = base.unit * int(clips.lengths[first])
    return replace(segments, start=base.origin + scale * segments.start, end=base.origin + scale * segments.end)


def name_proposals(
    detector: TrainedDetector,
    data: Dataset,
    proposals: Mapping[str, Segments],
    *,
    scores: VideoScores | None = None,
    combine: Literal["product", "sqrt"] = "product",
) -> dict[str, Segments]:
    """Return detections: every proposal with each of the likeliest classes, best first.

    The classes are those of `scores`, an external classifier of whole videos, in the order of `detector.classes`, or
    else of the detector's own snippet classifier. Raises SolaError when there is neither, a video has no scores, or
    they are of other classes.
    """
    classifier = detector.classifier
    if scores is None and classifier is None:
        raise SolaError("the detector has no snippet classifier: name a file of class scores with --classifier")
    if scores is not None and scores.classes != detector.classes:
        raise SolaError(
            f"scores of {len(scores.classes)} classes that are not the detector's {len(detector.classes)}, or in "
            "another order; pass classes=detector.classes to read_classifier"
        )
    top = min(detector.config.classes_per_proposal, len(detector.classes))
    named = {}
    for video in data.videos:
        if video.id not in proposals:
            continue
        if scores is not None:
            chances = scores.of(video.id)
        else:
            assert classifier is not None
            probabilities = classifier.probabilities(data.read(video))
            chances = snippet_class_scores(proposals[video.id], probabilities, video.grid)
        if detector.config.class_score == "share":
            chances = share_of_top_two(chances)
        detections = fuse(proposals[video.id], chances, classes_per_proposal=top, combine=combine)
        named[video.id] = detections.take(np.argsort(-detections.score, kind="stable"))
    return named
