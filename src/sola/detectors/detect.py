"""Trained detector × Dataset → segments: proposals or detections, in seconds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from sola.core.device import Device, choose_device
from sola.core.errors import SolaError
from sola.data.class_scores import VideoScores
from sola.data.dataset import Dataset
from sola.data.features import none_left
from sola.data.segments import Segments, SegmentTable
from sola.data.timing import Placement
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.bmn.network import BMN
from sola.detectors.clips import Clips, cut
from sola.detectors.config import DetectorConfig
from sola.detectors.gtad.network import GTAD
from sola.detectors.postprocess import fuse, share_of_top_two, snippet_class_scores, suppress, vote
from sola.detectors.trained import TrainedDetector

VIDEOS_AT_A_TIME = 64
"""Videos whose candidates are in memory together."""

Progress = Callable[[int, int], None]


@torch.inference_mode()
def detect(
    detector: TrainedDetector,
    data: Dataset,
    *,
    device: Device = "auto",
    skipped: dict[str, str] | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Segments]:
    """Return what the head finds in each video, in seconds, after suppression, best first.

    Detections with classes, or where the head knows none, class-agnostic proposals (label 0) for `name_proposals`.
    Clips of a video are merged before the suppression. `skipped` gets the reasons why videos with bad files were left
    out, by id in the features.

    Raises SolaError when the features went through another chain than the detector's, or a file is bad.
    """
    detector.must_stand_on(data.features.manifest)
    config, head, ids = detector.config, detector.head, [video.id for video in data.videos]
    channels = data.features.channels
    if channels != head.channels:
        raise SolaError(f"the features have {channels} channels, the detector was trained on {head.channels}")
    where = choose_device(device)
    head.to(where)
    bad: dict[str, str] = {} if skipped is None else skipped
    found: dict[str, Segments] = {}
    for begin in range(0, len(ids), VIDEOS_AT_A_TIME):
        chunk = data.only(ids[begin : begin + VIDEOS_AT_A_TIME])
        clips = cut(chunk, config.clipping(), keep_empty=True, skipped=bad)
        # in lengths of a clip, in which the candidates of all whole videos are the same: suppression knows that
        decoded = candidates(head, clips, in_clip_lengths(clips), config.batch_size, where)
        own = [np.flatnonzero(clips.video == video) for video in range(len(clips.videos))]
        merged = [SegmentTable.joined([decoded[i] for i in clip]) for clip in own]
        refined_ = refined(merged, config)
        for video, kept, clip, extent in zip(clips.videos, refined_, own, clips.extents, strict=True):
            placed = in_seconds(kept, clips.placements[clip[0]], int(clips.lengths[clip[0]]))
            found[video] = cut_to(placed, *extent) if config.inside_video else placed
        progress(min(begin + VIDEOS_AT_A_TIME, len(ids)), len(ids))
    if ids and not found:
        raise none_left(bad, len(ids))
    return found


def candidates(
    head: ActionFormer | BMN | GTAD, clips: Clips, placements: list[Placement], batch: int, device: torch.device
) -> list[Segments]:
    """All segments that the head decodes from each clip, before any suppression."""
    decoded: list[Segments] = []
    if isinstance(head, ActionFormer):
        for i, placement in enumerate(placements):
            array = torch.from_numpy(np.ascontiguousarray(clips.clip(i))).to(device).float()
            decoded += head.decode(head(*head.pad([array.T])), [placement])
        return decoded
    for start in range(0, len(clips), batch):
        index = np.arange(start, min(start + batch, len(clips)))
        decoded += head.decode(head(clips.batch(index, device)), [placements[i] for i in index])
    return decoded


def refined(videos: Sequence[Segments], config: DetectorConfig) -> list[Segments]:
    """Suppressed and voted on as the config says; in lengths of a clip."""
    kept = suppress(
        videos,
        config.decay(),
        keep=config.keep,
        min_score=config.min_score,
        class_aware=config.knows_classes,
        durations=[1.0] * len(videos),
    )
    if config.voting:
        kept = [
            vote(one, every, iou=config.voting, weight=config.voting_weight)
            for one, every in zip(kept, videos, strict=True)
        ]
    return kept


def cut_to(segments: Segments, begin: float, end: float) -> Segments:
    """What of the segments lies between two times; those of which nothing does are dropped."""
    cut_ = Segments(segments.start.clip(begin, end), segments.end.clip(begin, end), segments.label, segments.score)
    return cut_.take(cut_.end > cut_.start)


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
    else of the detector's own snippet classifier.

    Raises SolaError when there is neither, a video has no scores, or they are of other classes.
    """
    classifier = detector.classifier
    if scores is None and classifier is None:
        raise SolaError("the detector has no snippet classifier: name a file of class scores with --classifier")
    if scores is not None and scores.classes != detector.classes:
        raise SolaError(
            f"scores of {len(scores.classes)} classes that are not the detector's {len(detector.classes)}, or in "
            "another order; pass classes=detector.classes to read_classifier"
        )
    top = min(detector.config.top, len(detector.classes))
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
        detections = fuse(proposals[video.id], chances, top=top, combine=combine)
        named[video.id] = detections.take(np.argsort(-detections.score, kind="stable"))
    return named


def in_clip_lengths(clips: Clips) -> list[Placement]:
    """Where each clip lies in its video, the video's first clip being [0, 1]."""
    _, first = np.unique(clips.video, return_index=True)
    placements = []
    for video, placement, length in zip(clips.video, clips.placements, clips.lengths.tolist(), strict=True):
        base = clips.placements[first[video]]
        shift = (placement.origin - base.origin) / (base.unit * length)
        placements.append(Placement(shift, placement.unit / base.unit / length))
    return placements


def in_seconds(segments: Segments, base: Placement, length: int) -> Segments:
    """Segments in lengths of the clip `base`, in seconds."""
    scale = base.unit * length
    return Segments(
        base.origin + scale * segments.start, base.origin + scale * segments.end, segments.label, segments.score
    )
