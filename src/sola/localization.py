"""Train a localiser on features and annotations, and run one: features in, proposals and detections out."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from rich.console import Console

from sola.clips import Clips, cut
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.features import FeatureSet
from sola.data.identifiers import match_videos
from sola.data.timing import snippet_grid
from sola.engine import Device, choose_device, choose_precision, fit
from sola.errors import SolaError
from sola.files import existing
from sola.heads.base import Placement
from sola.localization_task import ProposalTraining
from sola.localizer import WEIGHTS, Localizer, described
from sola.localizer_config import LocalizerConfig
from sola.postprocess import VideoScores, fuse, share_of_top_two, snippet_class_scores, suppress
from sola.run import Run, begin, environment, may_begin
from sola.segments import Segments
from sola.snippet_classifier import fit_snippet_classifier

VIDEOS_AT_A_TIME = 64
"""Videos whose maps are in memory together while predicting."""

Progress = Callable[[int, int], None]


def train_localizer(
    features: FeatureSet,
    annotations: Annotations,
    config: LocalizerConfig,
    out: Path,
    *,
    train_subset: str = "training",
    validation_subset: str | None = None,
    id_prefix: str | None = None,
    requested: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Localizer:
    """Train a boundary-map head on one subset, and write the run to `out`.

    With `validation_subset` the weights of the epoch of the lowest loss on it are kept, else those of the last epoch.
    Figures on a subset that chose the epoch are figures that were tuned on it.

    Args:
        features: per-video arrays [time, channels].
        annotations: all of them, in seconds.
        config: head, clips, optimiser.
        out: the run's folder: config.json, metrics.jsonl, checkpoint/, and at the end localizer.safetensors.
        train_subset: whose instances are learnt.
        validation_subset: whose loss picks the epoch; none keeps the last.
        id_prefix: what ids begin with on one side only.
        requested: what the user asked for, if that is not `config`.
        resume: go on from the run's checkpoint.
        overwrite: start again, whatever is there.
        quiet: no progress bar.

    Raises:
        SolaError: for bad input, a run that exists, or when no clip has an instance.
    """
    console = Console(stderr=True, quiet=quiet, soft_wrap=True)
    run = Run(out)
    wanted = requested or {"subset": train_subset, "validation": validation_subset, **described(config)}
    if not may_begin(run, wanted, resume=resume, overwrite=overwrite, product=WEIGHTS):
        console.print(f"{out}: finished already, nothing to do", markup=False, highlight=False)
        return Localizer.load(out)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    clips = clips_of(features, annotations, train_subset, config, id_prefix, existing(out))
    validation = None
    if validation_subset is not None:
        validation = clips_of(features, annotations, validation_subset, config, id_prefix, existing(out))
    description: dict[str, Any] = {
        "sources": [str(stream.source) for stream in features.streams],
        "requested": wanted,
        "training": described(config),
        "subsets": {"train": train_subset, "validation": validation_subset},
        "classes": list(annotations.classes),
        "features": {
            "clips": len(clips),
            "videos": len(clips.videos),
            "channels": clips.values.shape[2],
            "fingerprint": fingerprint(clips),
            "validation_fingerprint": None if validation is None else fingerprint(validation),
            "manifest": features.manifest.to_json(),
        },
        "environment": environment(device, precision),
    }
    instances = sum(map(len, clips.instances))
    console.print(
        f"{len(clips)} clips of {len(clips.videos)} videos with {instances} instances, {clips.values.shape[2]} channels"
    )
    classifier = None
    if config.classifier_epochs and annotations.classes:  # before the head: what it refuses is refused at once
        ids = {
            theirs: ours for ours, theirs in match_videos(features.videos, annotations.videos, id_prefix).videos.items()
        }
        classifier = fit_snippet_classifier(
            features, ids, annotations, train_subset, seed=config.seed, epochs=config.classifier_epochs
        )
    begin(run, description, resume=resume)
    task = ProposalTraining(config, clips, out, device, validation)
    optimizer = torch.optim.Adam(
        task.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    fit(
        task,
        optimizer,
        run,
        epochs=config.epochs,
        device=device,
        precision=precision,
        schedule=lambda epoch, step: config.rate(epoch),
        resume=resume,
        quiet=quiet,
    )
    best = task.take_best()
    if best is not None:
        told = f"kept epoch {best} of {config.epochs}, the one of the lowest loss on {validation_subset!r}"
        console.print(told, markup=False, highlight=False)
    localizer = Localizer(task.model.eval(), config, annotations.classes, features.manifest, classifier)
    localizer.save_weights(out)
    return Localizer.load(out)


def clips_of(
    features: FeatureSet,
    annotations: Annotations,
    subset: str,
    config: LocalizerConfig,
    id_prefix: str | None,
    folder: Path,
) -> Clips:
    """Cut the clips of a subset that hold instances; what does not fit in memory is mapped from a file in `folder`.

    Raises SolaError for an unknown subset, or one without features or instances.
    """
    wanted = annotations.subset(subset)
    matched = match_videos(features.videos, annotations.videos, id_prefix).videos
    records = {ours: wanted.videos[theirs] for ours, theirs in matched.items() if theirs in wanted.videos}
    if not records:
        raise SolaError(f"subset {subset!r}: none of its {len(wanted.videos)} videos has features")
    limit = int(0.4 * psutil.virtual_memory().available)
    return cut(features, records, config.clipping(), keep_empty=False, memory_limit=limit, folder=folder)


@torch.inference_mode()
def propose(
    localizer: Localizer,
    features: FeatureSet,
    records: Mapping[str, VideoAnnotation | None],
    *,
    device: Device = "auto",
    progress: Progress = lambda done, total: None,
) -> dict[str, Segments]:
    """Return each video's class-agnostic proposals in seconds, after suppression, best first.

    Clips of a video are merged before the suppression. `records` are the videos by their id in `features`, with the
    annotation where there is one: it may say when snippets are, and names the video.

    Raises SolaError when the features went through another chain than the localiser's, or a file is bad.
    """
    localizer.must_stand_on(features.manifest)
    config, ids = localizer.config, list(records)
    found: dict[str, Segments] = {}
    if features.channels != localizer.head.channels:
        raise SolaError(
            f"the features have {features.channels} channels, the localizer was trained on {localizer.head.channels}"
        )
    where = choose_device(device)
    head = localizer.head.to(where)
    for begin_ in range(0, len(ids), VIDEOS_AT_A_TIME):
        chunk = {id_: records[id_] for id_ in ids[begin_ : begin_ + VIDEOS_AT_A_TIME]}
        clips = cut(features, chunk, config.clipping(), keep_empty=True)
        relative = in_clip_lengths(clips, config.length)
        decoded: list[Segments] = []
        for start in range(0, len(clips), config.batch_size):
            index = np.arange(start, min(start + config.batch_size, len(clips)))
            prediction = head(clips.batch(index, where))
            # in lengths of a clip, in which the candidates of all whole videos are the same: suppression knows that
            decoded += head.decode(prediction, [relative[i] for i in index])
        own = [np.flatnonzero(clips.video == video) for video in range(len(clips.videos))]
        merged = [joined([decoded[i] for i in clip]) for clip in own]
        kept = suppress(merged, config.decay(), keep=config.keep, class_aware=False, durations=[1.0] * len(merged))
        kept = [in_seconds(one, clips.placements[clip[0]], config.length) for one, clip in zip(kept, own, strict=True)]
        found.update(zip(clips.videos, kept, strict=True))
        progress(min(begin_ + VIDEOS_AT_A_TIME, len(ids)), len(ids))
    if ids and not found:
        raise SolaError(f"{features.skipped[ids[0]]}; none of {len(ids)} videos is left")
    return found


def name_proposals(
    localizer: Localizer,
    features: FeatureSet,
    records: Mapping[str, VideoAnnotation | None],
    proposals: Mapping[str, Segments],
    *,
    scores: VideoScores | None = None,
    combine: Literal["product", "sqrt"] = "product",
) -> dict[str, Segments]:
    """Return detections: every proposal with each of the likeliest classes, best first.

    The classes are those of `scores`, an external classifier of whole videos, in the order of `localizer.classes`, or
    else of the localiser's own snippet classifier.

    Raises SolaError when there is neither, a video has no scores, or they are of other classes.
    """
    classifier = localizer.classifier
    if scores is None and classifier is None:
        raise SolaError("the localizer has no snippet classifier: name a file of class scores with --classifier")
    if scores is not None and scores.classes != localizer.classes:
        raise SolaError(
            f"scores of {len(scores.classes)} classes that are not the localizer's {len(localizer.classes)}, or in "
            "another order; pass classes=localizer.classes to read_classifier"
        )
    top = min(localizer.config.top, len(localizer.classes))
    named = {}
    for id_, record in records.items():
        video = id_ if record is None else record.video
        if video not in proposals:
            continue
        if scores is not None:
            chances = scores.of(video)
        else:
            assert classifier is not None
            array = features.read(id_)
            grid = snippet_grid(id_, len(array), features.manifest, record)
            chances = snippet_class_scores(proposals[video], classifier.probabilities(array), grid)
        if localizer.config.class_score == "share":
            chances = share_of_top_two(chances)
        detections = fuse(proposals[video], chances, top=top, combine=combine)
        named[video] = detections.take(np.argsort(-detections.score, kind="stable"))
    return named


def joined(clips: list[Segments]) -> Segments:
    """The segments of several clips as one."""
    columns = (np.concatenate([getattr(one, name) for one in clips]) for name in ("start", "end", "label", "score"))
    return Segments(*columns)


def in_clip_lengths(clips: Clips, length: int) -> list[Placement]:
    """Where each clip lies in its video, the video's first clip being [0, 1]."""
    _, first = np.unique(clips.video, return_index=True)
    placements = []
    for video, placement in zip(clips.video, clips.placements, strict=True):
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


def fingerprint(clips: Clips) -> str:
    """A digest of every value, where the clips lie, and their instances."""
    digest = hashlib.sha256(repr((clips.videos, clips.placements, clips.values.dtype.str)).encode())
    for i in range(len(clips)):
        digest.update(np.ascontiguousarray(clips.values[i]).data)
        digest.update(clips.instances[i].numpy().tobytes())
    return digest.hexdigest()
