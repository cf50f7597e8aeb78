"""`sola detect`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from sola.cli.options import (
    INPUTS,
    OUTPUT,
    Decoding,
    DetectorRun,
    DeviceOption,
    Execution,
    Overwrite,
    Quiet,
    Reading,
    Timing,
)
from sola.core.errors import SolaError
from sola.video.files import SUFFIXES


@Parameter(name="*", group=Group("Options for features", sort_key=2))
@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """Options that apply to features only."""

    annotations: Annotated[Path | None, Parameter(metavar="JSON")] = None
    """Annotations: detect in the videos of one subset only. They may also state when snippets are."""
    test_subset: str | None = None
    """Subset of the annotations: validation by default."""
    label_key: str = "label"
    """Field of an annotation that names the class."""
    classifier: Annotated[Path | None, Parameter(metavar="FILE")] = None
    """Class scores of an external video classifier: JSON as of CUHK or ActivityNet, or .npy of UntrimmedNet."""
    combine: Literal["product", "sqrt"] = "product"
    """How the score of a proposal and that of its class are combined."""
    proposals: Annotated[Path | None, Parameter(metavar="JSON")] = None
    """Also write class-agnostic proposals, for `sola evaluate --proposals`."""


@Parameter(name="*", group=Group("Options for videos", sort_key=3))
@dataclasses.dataclass(frozen=True)
class VideoOptions:
    """Options that apply to videos only."""

    encoder: str | None = None
    """Encoder, if it is no longer available under the name that the features were extracted with."""
    modules: Annotated[tuple[Path, ...], Parameter(metavar="RUN")] = ()
    """Runs of `sola train` with the SoLa modules, if they were moved."""
    pictures: bool = True
    """Draw a timeline of each video, in a folder named like --out without its suffix."""


def detect(
    run: DetectorRun,
    sources: Annotated[
        tuple[Path, ...],
        Parameter(
            name="FEATURES|VIDEOS",
            group=INPUTS,
            help="Folder (or .h5 file) with one array [time, channels] per video, several are joined on channels; or "
            "video files and folders of them.",
        ),
    ],
    /,
    *,
    reading: Reading = Reading(),
    for_features: FeatureOptions = FeatureOptions(),
    for_videos: VideoOptions = VideoOptions(),
    timing: Timing = Timing(),
    device: DeviceOption = "auto",
    decoding: Decoding = Decoding(),
    execution: Execution = Execution(),
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="JSON")],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run `sola detect`.

    Args:
        out: File of detections to write, in ActivityNet's JSON layout: segments in seconds, labels, scores.
    """
    if are_videos(sources):
        from sola.cli.detection_in_videos import detect_in_videos

        refuse(
            "needs features, not videos",
            changed(for_features)
            + changed(timing)
            + changed(execution)
            + changed(dataclasses.replace(reading, skip_bad=False)),
        )
        detect_in_videos(
            run,
            sources,
            out,
            for_videos,
            decoding,
            skip_bad=reading.skip_bad,
            device=device,
            overwrite=overwrite,
            quiet=quiet,
        )
    else:
        from sola.cli.detection_in_features import detect_in_features

        refuse("needs videos, not features", changed(for_videos) + changed(decoding))
        detect_in_features(
            run,
            sources,
            out,
            for_features,
            reading,
            timing,
            execution,
            device=device,
            overwrite=overwrite,
            quiet=quiet,
        )


def are_videos(sources: tuple[Path, ...]) -> bool:
    """Whether the sources are video files or folders that contain some, at any depth; the first decides."""
    if sources[0].is_dir():
        return any(path.suffix.lower() in SUFFIXES for path in sources[0].rglob("*"))
    return sources[0].suffix.lower() in SUFFIXES


def changed(options: Any) -> list[str]:
    """Return the flags of a group of options that differ from their defaults."""
    return [
        f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != field.default
    ]


def refuse(reason: str, flags: list[str]) -> None:
    """Raise SolaError naming the first of the flags, if any."""
    if flags:
        raise SolaError(f"{flags[0]}: {reason}")
