"""`sola localize train` and `sola localize predict`."""

import dataclasses
from collections.abc import Mapping, Sequence
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
from sola.data.annotations import VideoAnnotation, read_annotations
from sola.data.class_scores import VideoScores, read_scores
from sola.data.detections import UNLABELED, write_detections
from sola.data.ids import match_videos
from sola.data.segments import Segments
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.explain import explain
from sola.detectors.proposal_map.config import ProposalMapConfig
from sola.detectors.recipes import DETECTOR_RECIPES, DetectorName, DetectorRecipe
from sola.detectors.train import train_detector
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.pipeline.detect_job import find_actions, load_detector
from sola.training.run import Run, may_begin
from sola.training.tensorboard import Track


@dataclasses.dataclass(frozen=True)
class LocalizeTrain:
    """Train a head that finds actions on features, raw or transformed, and write the run to OUT.

    OUT gets detector.safetensors, config.json and metrics.jsonl. Head and recipe set every other option;
    `sola localize train --head gtad --recipe thumos --help` shows what they set, and options given beside them win.
    """

    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    annotations: Annotated[Path, arg(metavar="JSON")]
    """ActivityNet's layout, which HACS and THUMOS14 share."""
    out: Annotated[Path, arg(metavar="RUN")]
    """The run's folder."""
    recipe: DetectorRecipe = "anet"
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
    head = named(arguments, "head", DetectorName, "bmn")
    recipe = DETECTOR_RECIPES[head, named(arguments, "recipe", DetectorRecipe, "anet")]()  # type: ignore[index]

    kind = type(recipe)  # whose fields are the flags: heads have different ones

    def command(
        options: OmitArgPrefixes[LocalizeTrain],
        config: OmitArgPrefixes[kind] = recipe,  # type: ignore[valid-type]
    ) -> tuple[LocalizeTrain, ProposalMapConfig | ActionFormerConfig]:
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
    annotations = read_annotations(options.annotations, options.label_key)
    features = options.timing.fill(options.reading.open(options.features))
    train_detector(
        features,
        annotations,
        config,
        options.out,
        train_subset=options.subset,
        validation_subset=options.validation,
        id_prefix=options.reading.id_prefix,
        requested=requested,
        resume=options.resume,
        overwrite=options.overwrite,
        track=options.track,
        quiet=options.quiet,
    )
    report_skipped(features.skipped)
    if not options.quiet:
        say(f"{options.out}: trained; next: sola localize predict {options.out} FEATURES --out detections.json")


def explained(options: LocalizeTrain, config: ProposalMapConfig | ActionFormerConfig) -> str:
    """What --explain says."""
    annotations = read_annotations(options.annotations, options.label_key)
    features = options.timing.fill(options.reading.open(options.features))
    matched = match_videos(features.videos, annotations.videos, options.reading.id_prefix).videos
    for ours, theirs in matched.items():
        if options.explain in (ours, theirs):
            return explain(features, ours, annotations.videos[theirs], config.clipping())
    raise SolaError(
        f"--explain {options.explain}: no such video; expected one of {len(matched)}, such as {min(matched)}"
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
    if options.classifier is not None and detector.config.knows_classes:
        raise SolaError(f"--classifier {options.classifier}: the head of {options.run} knows the classes by itself")
    if options.classifier is None and detector.classifier is None and not detector.config.knows_classes:
        raise SolaError(f"{options.run}: has no snippet classifier; name a file of class scores with --classifier")
    features = options.reading.open_anywhere(options.features, options.timing.given())
    records = videos_of(features.videos, options)
    place = Storage.of(options.out.parent)
    workspace = place / f".{options.out.name}.partial"
    with stderr_bar(options.quiet) as bar:
        line = bar.add_task("predict", total=len(records))
        found = find_actions(
            detector,
            features,
            records,
            workspace,
            scores=scores_of(records, detector, options),
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
    report_skipped(found.skipped)
    if not options.quiet:
        count = sum(map(len, found.detections.values()))
        say(f"{place_of(options.out)}: {count} detections in {len(found.detections)} videos")


def unnamed(segments: Segments) -> Segments:
    """The same segments, all of class 0."""
    return dataclasses.replace(segments, label=np.zeros_like(segments.label))


def videos_of(videos: Sequence[str], options: LocalizePredict) -> Mapping[str, VideoAnnotation | None]:
    """The videos to be predicted, by their id in the features."""
    if options.annotations is None:
        return dict.fromkeys(videos)
    with Storage.of(options.annotations.parent).fetched(options.annotations.name) as folder:
        annotations = read_annotations(folder / options.annotations.name, options.label_key).subset(
            options.subset or "validation"
        )
    matched = match_videos(videos, annotations.videos, options.reading.id_prefix).videos
    return {ours: annotations.videos[theirs] for ours, theirs in matched.items()}


def scores_of(
    records: Mapping[str, VideoAnnotation | None], detector: TrainedDetector, options: LocalizePredict
) -> VideoScores | None:
    """What an external classifier says of these videos, where there is one."""
    if options.classifier is None:
        return None
    videos = [id_ if record is None else record.video for id_, record in records.items()]
    with Storage.of(options.classifier.parent).fetched(options.classifier.name) as folder:
        return read_scores(folder / options.classifier.name, videos, detector.classes)
