"""Options shared by several commands, with the same names, help texts and groups everywhere."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import CoercionError, Group, Parameter, Token
from cyclopts.validators import Number

from sola.cli.help import secondary
from sola.core.device import Device
from sola.core.errors import SolaError
from sola.core.log import counted
from sola.data.names import IdFrom
from sola.data.numbers import parsed

if TYPE_CHECKING:
    from sola.core.progress import ProgressBar
    from sola.data.dataset import Dataset
    from sola.data.features import FeatureSet
    from sola.data.summary import Summary
    from sola.pipeline.executors import Progress, Ray, Threads
    from sola.pipeline.stored_features import StoredFeatures

log = logging.getLogger(__name__)

INPUTS = Group("Inputs", sort_key=1)
TRAINING = Group("Training", help="Settings default to those of the recipe.", sort_key=2)
OUTPUT = Group("Output", sort_key=4)
READING = secondary("Reading files", sort_key=5)
TIMING = secondary("Feature timing", sort_key=6, help="For features without a manifest; a manifest takes precedence.")
EXECUTION = secondary("Execution", sort_key=7)
MORE = secondary("More options", sort_key=8)

AT_LEAST_ONE = Number(gte=1)
TABLE_WIDTH = 150
"""Minimum width of a table of results (columns)."""

Features = Annotated[
    tuple[Path, ...],
    Parameter(
        group=INPUTS,
        help="Folder (or .h5 file) with one array [time, channels] per video. Several are joined on channels.",
    ),
]
Videos = Annotated[
    tuple[Path, ...], Parameter(group=INPUTS, help="Video files, or folders that contain them (searched recursively).")
]
ModuleRun = Annotated[Path, Parameter(group=INPUTS, help="Finished run of `sola train`.")]
DetectorRun = Annotated[Path, Parameter(group=INPUTS, help="Finished run of `sola train-detector`.")]
JSON_FILE = Parameter(
    group=INPUTS,
    metavar="FILE",
    help="Annotations: ActivityNet's JSON, a table, or a file of an annotation tool (see `sola convert --help`).",
)
AnnotationFile = Annotated[Path, JSON_FILE]
OptionalAnnotationFile = Annotated[Path | None, JSON_FILE]
TrainSubset = Annotated[str, Parameter(group=INPUTS, help="Subset of the annotations to train on.")]
TestSubset = Annotated[str, Parameter(group=INPUTS, help="Subset of the annotations to evaluate on.")]
LabelKey = Annotated[
    str, Parameter(group=READING, help="Field of an annotation that names the class (EPIC-Kitchens: verb_class).")
]
IdPrefix = Annotated[
    str | None,
    Parameter(
        group=READING,
        help="Prefix of the video ids on one side only, such as `v_`. Without it, a prefix of all ids is detected.",
    ),
]
ClassScores = Annotated[
    Path | None,
    Parameter(
        group=MORE,
        metavar="FILE",
        help="Class scores of an external video classifier: JSON as published by CUHK, or UntrimmedNet's .npy.",
    ),
]
Streams = Annotated[
    tuple[str, ...],
    Parameter(
        group=READING,
        metavar="NAME",
        help="Streams in one folder, by the ends or starts of file names: `rgb flow` joins VIDEO_rgb and VIDEO_flow.",
    ),
]
IdFromOption = Annotated[
    IdFrom,
    Parameter(group=READING, help="Ids of videos: file names, or paths in the folder, which is searched recursively."),
]
SkipBad = Annotated[bool, Parameter(group=READING, help="Skip and count unreadable files instead of failing.")]
DeviceOption = Annotated[Device, Parameter(help="Device; auto uses the GPU if there is one.")]
Seeds = Annotated[int, Parameter(validator=AT_LEAST_ONE)]
Overwrite = Annotated[bool, Parameter(group=OUTPUT, help="Replace what exists at --out, if this command wrote it.")]
Json = Annotated[bool, Parameter(group=OUTPUT, help="Print JSON on stdout instead of tables.")]
Quiet = Annotated[bool, Parameter(group=EXECUTION, help="Print results and errors only: no progress bar, no messages.")]


@Parameter(name="*", group=READING)
@dataclasses.dataclass(frozen=True)
class Reading:
    """Options for reading feature files."""

    channels_first: bool = False
    """Read arrays as [channels, time] instead of [time, channels]."""
    skip_bad: SkipBad = False
    id_prefix: IdPrefix = None
    streams: Streams = ()
    id_from: IdFromOption = "name"
    trim_padding: bool = False
    """Remove padding at the end of videos: zeros and copies of the last snippet."""

    def open(self, sources: Sequence[Path]) -> "FeatureSet":
        """Open one feature set."""
        from sola.data.features import FeatureSet

        return FeatureSet.open(sources, **self._options())

    def open_stored(
        self, sources: Sequence[Path], timing: Mapping[str, float] | None = None
    ) -> "FeatureSet | StoredFeatures":
        """Open one feature set, which may be in an object store."""
        from sola.pipeline.stored_features import open_features

        return open_features(sources, timing=timing, **self._options())

    def _options(self) -> dict[str, Any]:
        """Return the arguments of `FeatureSet.open`."""
        return {
            "channels_first": self.channels_first,
            "skip_bad": self.skip_bad,
            "stream_suffixes": self.streams,
            "id_from": self.id_from,
            "trim_padding": self.trim_padding,
        }

    def dataset(
        self,
        sources: Sequence[Path],
        annotations: Path | None,
        label_key: str = "label",
        timing: Mapping[str, float] | None = None,
    ) -> "Dataset":
        """Open features with their annotations."""
        from sola.data.annotations import read_annotations
        from sola.data.dataset import Dataset

        annotated = None if annotations is None else read_annotations(annotations, label_key)
        return Dataset.open(self.open(sources), annotated, id_prefix=self.id_prefix, timing=timing)


def fraction(kind: Any, tokens: Sequence[Token]) -> float:
    """Return the number of an option, which may be a fraction. Raises CoercionError for anything else."""
    (token,) = tokens
    try:
        return parsed(token.value)
    except ValueError:
        raise CoercionError(token=token, target_type=float) from None


@Parameter(name="*", group=TIMING)
@dataclasses.dataclass(frozen=True)
class Timing:
    """Timing of snippets, for features without a manifest."""

    fps: Annotated[float | None, Parameter(converter=fraction)] = None
    """Frame rate of the video that the encoder saw (frames per second), such as 25 or 30000/1001."""
    stride: float | None = None
    """Distance between the starts of two snippets (frames)."""
    window: float | None = None
    """Length of a snippet (frames)."""
    offset: float | None = None
    """Start of the first snippet (frames)."""

    def given(self) -> dict[str, float]:
        """Return the values that were passed, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@Parameter(name="*", group=OUTPUT)
@dataclasses.dataclass(frozen=True)
class RunWriting:
    """Options for writing the run of a training."""

    resume: bool = False
    """Continue a stopped run, or start one if there is none."""
    overwrite: Overwrite = False
    tensorboard: Annotated[bool, Parameter(group=EXECUTION)] = False
    """Also write metrics.jsonl as curves to RUN/tensorboard (extra `tensorboard`)."""
    quiet: Quiet = False


@Parameter(name="*", group=EXECUTION)
@dataclasses.dataclass(frozen=True)
class Execution:
    """Options for distributing the work."""

    executor: Literal["local", "ray"] = "local"
    """ray: distribute videos over a Ray cluster; files may be in an object store (extra `cluster`)."""
    workers: Annotated[int | None, Parameter(validator=AT_LEAST_ONE)] = None
    """Number of Ray workers. Without it, as many as fit."""
    worker_cpus: Annotated[float, Parameter(validator=Number(gt=0))] = 1.0
    """CPU cores of each Ray worker."""
    worker_gpus: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0
    """GPUs of each Ray worker; 0.5 lets two workers share a GPU."""

    def executor_for(self, *places: Path | None, threads: int = 1) -> "Threads | Ray":
        """Return the executor of the job. Raises SolaError for a path in an object store without Ray."""
        from sola.core.storage import Storage, is_remote
        from sola.pipeline.executors import Ray, Threads

        if self.executor == "local":
            for place in filter(None, places):
                if is_remote(place):
                    raise SolaError(f"{Storage.of(place).location}: is in an object store; pass --executor ray")
            return Threads(threads)
        return Ray(self.workers, self.worker_cpus, self.worker_gpus)


@Parameter(name="*", group=EXECUTION)
@dataclasses.dataclass(frozen=True)
class Decoding:
    """Options for decoding and encoding video files."""

    batch_size: Annotated[int | None, Parameter(validator=AT_LEAST_ONE)] = None
    """Number of snippets per forward pass of the encoder. Without it, 64 frames."""
    jobs: Annotated[int, Parameter(validator=AT_LEAST_ONE)] = 2
    """Number of videos decoded in parallel."""


def named_paths(flag: str, values: Sequence[str]) -> list[tuple[str, Path]]:
    """Split each NAME=PATH. Raises SolaError for a value of another form."""
    pairs = []
    for value in values:
        name, _, path = value.partition("=")
        if not (name and path):
            raise SolaError(f"{flag} {value}: expected NAME=PATH, such as sola=softened/")
        pairs.append((name, Path(path)))
    return pairs


def report_data(*summaries: "Summary") -> None:
    """Log the summaries of the data and their findings."""
    from sola.data.summary import lines_of

    for line in lines_of(*summaries):
        log.info("%s", line)


def report_skipped(*skipped: Mapping[str, str]) -> None:
    """Log the number of files that --skip-bad skipped, and the first reason."""
    reasons = {video: reason for part in skipped for video, reason in part.items()}
    if reasons:
        video, reason = next(iter(reasons.items()))
        log.warning("%s left out, the first: %s: %s", counted(len(reasons), "bad file"), video, reason)


def place_of(place: Path) -> str:
    """Return a path or URL as users write it; `Path` collapses the two slashes of a URL."""
    from sola.core.storage import Storage, is_remote

    return Storage.of(place).location if is_remote(place) else str(place)


def bar_progress(bar: "ProgressBar") -> "Progress":
    """Return a progress callback that updates the bar."""
    return lambda done, total, snippets: bar.update(done, total, f"{snippets / bar.elapsed:.0f} features/s")


def print_json(result: Mapping[str, Any]) -> None:
    """Print a result as JSON on stdout."""
    print(json.dumps(result, indent=2, allow_nan=False))


def print_wide(renderable: Any) -> None:
    """Print a table on stdout, at least `TABLE_WIDTH` columns wide, so that numbers are not cut."""
    from rich.console import Console

    Console(width=max(TABLE_WIDTH, Console().width)).print(renderable)
