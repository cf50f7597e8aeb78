"""`sola localize train` and `sola localize predict`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from tyro.conf import OmitArgPrefixes, Positional, arg

from sola.cli.console import named, parse, say, stderr_bar, subcommand
from sola.cli.options import (
    Features,
    Reading,
    ReadingFlags,
    Spreading,
    SpreadingFlags,
    Timing,
    TimingFlags,
    place_of,
    report_skipped,
)
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.storage import Storage
from sola.data.annotations import Annotations, read_annotations
from sola.data.class_scores import VideoScores, read_scores
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, write_detections
from sola.data.segments import Segments
from sola.detectors import DETECTORS, detector_family
from sola.detectors.base import DetectorConfig
from sola.detectors.explain import explain
from sola.detectors.train import train_detector
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.pipeline.detect_job import find_actions, load_detector
from sola.pipeline.stored_features import open_data
from sola.training.run import Run, may_begin
from sola.training.tensorboard import Track


@dataclasses.dataclass(frozen=True)
class LocalizeTrain:
    """Train a head that finds actions on features, raw or transformed, and write the run to OUT.

    OUT gets detector.safetensors, config.json and metrics.jsonl. Head and recipe set every other option;
    `sola localize train --model gtad --recipe thumos --help` shows what they set, and options given beside them win.
    """

    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    annotations: Annotated[Path, arg(metavar="JSON")]
    """ActivityNet's layout, which HACS and THUMOS14 share."""
    out: Annotated[Path, arg(metavar="RUN")]
    """The run's folder."""
    recipe: str = "anet"
    """anet: as published; hacs, thumos, gtea: what is not published is ours."""
    subset: str = "training"
    """Whose instances are learned."""
    validation: str | None = None
    """A subset whose loss picks the epoch that is kept; without, the last is. Its figures are then tuned on it."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun)."""
    explain: Annotated[str | None, arg(metavar="VIDEO")] = None
    """Train nothing: say how this video gets from frames to seconds to the head's units and back."""
    resume: bool = False
    """Go on with a run that was stopped; begin it where there is none."""
    overwrite: bool = False
    """Start again where a run exists."""
    track: Track | None = None
    """tensorboard: curves of metrics.jsonl in RUN/tensorboard too (extra `track`)."""
    quiet: bool = False
    """No progress bar, no remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)


@dataclasses.dataclass(frozen=True)
class LocalizePredict:
    """Find actions with a trained detector, and write them as ActivityNet's JSON.

    The features must have gone through what those that it was trained on went through.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A finished run of `sola localize train`."""
    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    out: Annotated[Path, arg(metavar="JSON")]
    """The detections: segments in seconds, labels, scores."""
    proposals: Annotated[Path | None, arg(metavar="JSON")] = None
    """Also write the class-agnostic proposals, for `sola evaluate proposals`."""
    annotations: Annotated[Path | None, arg(metavar="JSON")] = None
    """Only the videos of one subset of these annotations; they may also say when snippets are."""
    subset: str | None = None
    """That subset (default: validation)."""
    classifier: Annotated[Path | None, arg(metavar="FILE")] = None
    """Scores of an external classifier of whole videos: CUHK's or ActivityNet's JSON, or UntrimmedNet's .npy."""
    combine: Literal["product", "sqrt"] = "product"
    """How a proposal's score and its class's become one."""
    overwrite: bool = False
    """Replace files that exist."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""
    quiet: bool = False
    """No progress bar, no remarks."""
    label_key: str = "label"
    """The annotation's field that names the class."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)
    spreading: SpreadingFlags = dataclasses.field(default_factory=Spreading)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    subcommand(
        arguments,
        "localize",
        {"train": (train, "train a head on features and annotations"), "predict": (predict, "find actions with it")},
    )


def train(arguments: list[str]) -> None:
    """Train."""
    family = detector_family(named(arguments, "model", DETECTORS, "bmn"))
    recipe = family.recipe(named(arguments, "recipe", family.recipes, "anet"))
    kind = family.config

    def command(
        options: OmitArgPrefixes[LocalizeTrain],
        config: OmitArgPrefixes[kind] = recipe,  # type: ignore[valid-type]
    ) -> tuple[LocalizeTrain, DetectorConfig]:
        return options, config

    command.__doc__ = LocalizeTrain.__doc__
    options, config = parse(command, "localize train", arguments)
    requested = {
        "recipe": options.recipe,
        "features": [str(path.absolute()) for path in options.features],
        "annotations": str(options.annotations.absolute()),
        "subset": options.subset,
        "validation": options.validation,
        "label_key": options.label_key,
        **dataclasses.asdict(config),
    }
    if options.explain is not None:
        print(explained(options, config))
        return
    if not may_begin(Run(options.out), requested, resume=options.resume, overwrite=options.overwrite, product=WEIGHTS):
        if not options.quiet:
            say(f"{options.out}: finished already, nothing to do")
        return
    data, skipped = opened(options), dict[str, str]()
    train_detector(
        data,
        config,
        options.out,
        train_subset=options.subset,
        validation_subset=options.validation,
        requested=requested,
        resume=options.resume,
        overwrite=options.overwrite,
        track=options.track,
        skipped=skipped,
        quiet=options.quiet,
    )
    report_skipped({**data.features.unreadable, **skipped})
    if not options.quiet:
        say(f"{options.out}: trained; next: sola localize predict {options.out} FEATURES --out detections.json")


def opened(options: LocalizeTrain) -> Dataset:
    """The features and annotations to train on."""
    return Dataset.open(
        options.reading.open(options.features),
        read_annotations(options.annotations, options.label_key),
        id_prefix=options.reading.id_prefix,
        timing=options.timing.given(),
    )


def explained(options: LocalizeTrain, config: DetectorConfig) -> str:
    """What --explain says."""
    videos = opened(options).videos
    for video in videos:
        if options.explain in (video.feature_id, video.id):
            return explain(video, config.clipping())
    raise SolaError(
        f"--explain {options.explain}: no such video; expected one of {len(videos)}, such as {videos[0].feature_id}"
    )


def predict(arguments: list[str]) -> None:
    """Predict."""
    options = parse(LocalizePredict, "localize predict", arguments)
    if options.subset is not None and options.annotations is None:
        raise SolaError(f"--subset {options.subset}: which videos that is, --annotations must say")
    if options.proposals is not None and options.proposals.absolute() == options.out.absolute():
        raise SolaError(f"--proposals {options.proposals}: is --out too; name another file")
    executor = options.spreading.executor(
        options.run, *options.features, options.out, options.proposals, options.annotations, options.classifier
    )
    for path in filter(None, (options.out, options.proposals)):
        if Storage.of(path.parent).has(path.name) and not options.overwrite:
            raise SolaError(f"{place_of(path)}: exists already; choose another file, or pass --overwrite")
    detector = load_detector(options.run)
    if options.classifier is not None and detector.config.predicts_classes:
        raise SolaError(f"--classifier {options.classifier}: the head of {options.run} knows the classes by itself")
    if options.classifier is None and detector.classifier is None and not detector.config.predicts_classes:
        raise SolaError(f"{options.run}: has no snippet classifier; name a file of class scores with --classifier")
    data = open_data(
        options.features,
        annotations_of(options),
        id_prefix=options.reading.id_prefix,
        timing=options.timing.given(),
        skip_bad=options.reading.skip_bad,
        channels_first=options.reading.channels_first,
    )
    videos = [video.id for video in data.videos] if isinstance(data, Dataset) else list(data.feature_ids)
    place = Storage.of(options.out.parent)
    workspace = place / f".{options.out.name}.partial"
    with stderr_bar(options.quiet) as bar:
        line = bar.add_task("predict", total=len(videos))
        found = find_actions(
            detector,
            data,
            workspace,
            scores=scores_of(videos, detector, options),
            combine=options.combine,
            device=options.device,
            executor=executor,
            skip_bad=options.reading.skip_bad,
            progress=lambda done, total, snippets: bar.update(line, completed=done, total=total),
        )
    with place.writing(options.out.name) as path:
        write_detections(path, found.detections, detector.classes)
    if options.proposals is not None:
        with Storage.of(options.proposals.parent).writing(options.proposals.name) as path:
            write_detections(path, {video: unnamed(one) for video, one in found.proposals.items()}, (UNLABELED,))
    workspace.delete()
    report_skipped({**(data.features.unreadable if isinstance(data, Dataset) else {}), **found.skipped})
    if not options.quiet:
        count = sum(map(len, found.detections.values()))
        say(f"{place_of(options.out)}: {count} detections in {len(found.detections)} videos")


def unnamed(segments: Segments) -> Segments:
    """The same segments, all of class 0."""
    return dataclasses.replace(segments, label=np.zeros_like(segments.label))


def annotations_of(options: LocalizePredict) -> Annotations | None:
    """The annotations of the subset that is predicted; None for all videos."""
    if options.annotations is None:
        return None
    with Storage.of(options.annotations.parent).fetched(options.annotations.name) as folder:
        annotations = read_annotations(folder / options.annotations.name, options.label_key)
    return annotations.subset(options.subset or "validation")


def scores_of(videos: Sequence[str], detector: TrainedDetector, options: LocalizePredict) -> VideoScores | None:
    """What an external classifier says of these videos, where there is one."""
    if options.classifier is None:
        return None
    with Storage.of(options.classifier.parent).fetched(options.classifier.name) as folder:
        return read_scores(folder / options.classifier.name, videos, detector.classes)
