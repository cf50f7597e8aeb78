"""`sola detect`: options. The module `detection` runs the command."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from sola.cli import options
from sola.cli.help import secondary
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.data.names import VIDEO_SUFFIXES


@Parameter(name="*", group=Group("Options for features", sort_key=2))
@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """Options that apply to features only."""

    annotations: Annotated[Path | None, Parameter(metavar="JSON")] = None
    """Annotations: detect only in the videos of one subset, and use their frame rates and durations."""
    test_subset: str | None = None
    """Subset of the annotations: validation by default."""
    label_key: Annotated[str, Parameter(group=options.READING)] = "label"
    """Field of an annotation that names the class."""
    classifier: Annotated[Path | None, Parameter(metavar="FILE")] = None
    """Class scores of an external video classifier: JSON as published by CUHK, or UntrimmedNet's .npy."""
    combine: Annotated[Literal["product", "sqrt"], Parameter(group=options.MORE)] = "product"
    """Combination of the scores of a proposal and of its class: their product, or its square root."""
    proposals: Annotated[Path | None, Parameter(metavar="JSON")] = None
    """Also write class-agnostic proposals, for `sola evaluate --proposals`."""


@Parameter(name="*", group=secondary("Options for videos", sort_key=4))
@dataclasses.dataclass(frozen=True)
class VideoOptions:
    """Options that apply to videos only."""

    encoder: str | None = None
    """Encoder, if it has moved since the features were extracted, or is your own code."""
    modules: Annotated[tuple[Path, ...], Parameter(metavar="RUN")] = ()
    """Runs of `sola train` that hold the SoLa modules, if they have moved."""
    pictures: Annotated[bool, Parameter(negative_bool="no-")] = True
    """Draw a timeline of each video, in a folder named like --out without its suffix."""


def detect(
    run: options.DetectorRun,
    sources: Annotated[
        tuple[Path, ...],
        Parameter(
            name="FEATURES|VIDEOS",
            group=options.INPUTS,
            help="Folder (or .h5 file) with one array [time, channels] per video, several are joined on channels; or "
            "video files and folders of them.",
        ),
    ],
    /,
    *,
    nouns: Annotated[Path | None, Parameter(group=options.INPUTS, metavar="RUN")] = None,
    reading: options.Reading = options.Reading(),
    for_features: FeatureOptions = FeatureOptions(),
    for_videos: VideoOptions = VideoOptions(),
    timing: options.Timing = options.Timing(),
    device: options.DeviceOption = "auto",
    decoding: options.Decoding = options.Decoding(),
    execution: options.Execution = options.Execution(),
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="JSON")],
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Run `sola detect`.

    Args:
        nouns: Detector of nouns, if RUN detects verbs: detect actions, with classes such as "3,12" (EPIC-Kitchens).
        out: File of detections to write, in ActivityNet's JSON layout: segments in seconds, labels, scores.
    """
    from sola.cli.detection import Target, detect_in_features, detect_in_videos

    show_log(quiet)
    target, runs = Target(out, overwrite, quiet), (run, nouns)
    if are_videos(sources):
        others = dataclasses.replace(reading, skip_bad=False, id_from="name")
        refuse("needs features, not videos", for_features, timing, execution, others)
        detect_in_videos(runs, sources, target, for_videos, decoding, device, reading)
    else:
        refuse("needs videos, not features", for_videos, decoding)
        detect_in_features(runs, sources, target, for_features, reading, timing, execution, device)


def are_videos(sources: tuple[Path, ...]) -> bool:
    """Return True if the first source is a video file, or a folder that contains video files at any depth."""
    if sources[0].is_dir():
        return any(path.suffix.lower() in VIDEO_SUFFIXES for path in sources[0].rglob("*"))
    return sources[0].suffix.lower() in VIDEO_SUFFIXES


def refuse(reason: str, *groups: Any) -> None:
    """Raise SolaError for the first option that differs from its default."""
    for group in groups:
        for field in dataclasses.fields(group):
            if getattr(group, field.name) != field.default:
                raise SolaError(f"--{field.name.replace('_', '-')}: {reason}")
