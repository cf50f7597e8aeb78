"""Options that several commands share, and how they open features."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from sola.cli.console import say
from sola.core.errors import SolaError
from sola.core.storage import Storage, is_remote
from sola.data.features import FeatureSet
from sola.pipeline.executors import Ray, Threads
from sola.pipeline.stored_features import StoredFeatures, open_features

Features = Annotated[Positional[tuple[Path, ...]], arg(metavar="FEATURES")]
"""One folder (or .h5) of per-video arrays, or several that are joined on channels."""

Videos = Annotated[Positional[tuple[Path, ...]], arg(metavar="VIDEOS")]
"""Video files, or folders of them."""


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How video files are worked through."""

    batch: int | None = None
    """Snippets that are encoded at once (default: 64 frames)."""
    jobs: int = 2
    """Videos that are decoded at once."""
    skip_bad: bool = False
    """Leave out files that cannot be decoded, and count them, instead of stopping at the first."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """How feature files are read."""

    channels_first: bool = False
    """The arrays are [channels, time] instead of [time, channels]."""
    skip_bad: bool = False
    """Leave out unreadable, truncated or NaN files and count them, instead of stopping at the first."""
    id_prefix: str | None = None
    """What file names begin with and annotated ids do not, such as v_ (found by itself where it is common to all)."""

    def open(self, sources: Sequence[Path]) -> FeatureSet:
        """Open one feature set; SolaError when there is none."""
        if not sources:
            raise SolaError("FEATURES is missing: name the folder (or .h5) that holds the feature files")
        return FeatureSet.open(sources, channels_first=self.channels_first, skip_bad=self.skip_bad)

    def open_anywhere(
        self, sources: Sequence[Path], timing: Mapping[str, float] | None = None
    ) -> FeatureSet | StoredFeatures:
        """Open one feature set, which may be in an object store; SolaError when there is none."""
        if not sources:
            raise SolaError("FEATURES is missing: name the folder (or .h5) that holds the feature files")
        return open_features(sources, channels_first=self.channels_first, skip_bad=self.skip_bad, timing=timing)


@dataclasses.dataclass(frozen=True)
class Timing:
    """Where snippets lie in time, for features whose manifest does not say."""

    fps: float | None = None
    """Frames a second of the video that the encoder saw."""
    stride: float | None = None
    """Frames from one snippet to the next."""
    window: float | None = None
    """Frames that a snippet spans."""
    offset: float | None = None
    """Frame at which the first snippet begins."""

    def fill(self, features: FeatureSet) -> FeatureSet:
        """The feature set with what its manifest lacks; the manifest wins where it speaks."""
        return features.with_manifest(features.manifest.filled(self.given()))

    def given(self) -> dict[str, float]:
        """What was given, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Spreading:
    """Over how many machines the videos are spread."""

    engine: Literal["local", "ray"] = "local"
    """ray: over the cores or machines of a Ray cluster; files may be in an object store (extra `cluster`)."""
    workers: int | None = None
    """Of --engine ray (default: as many as the cluster has room for)."""
    worker_cpus: float = 1.0
    """Cores that each worker takes."""
    worker_gpus: float = 0.0
    """GPUs that each worker takes, 0.5 for two workers a GPU."""

    def executor(self, *places: Path | None, threads: int = 1) -> Threads | Ray:
        """Return what runs the job.

        Raises SolaError for a number out of range, and without a cluster for a place in an object store.
        """
        if self.engine == "local":
            for place in filter(None, places):
                if is_remote(place):
                    raise SolaError(f"{Storage.of(place).location}: is in an object store; pass --engine ray")
            return Threads(threads)
        return Ray(self.workers, self.worker_cpus, self.worker_gpus)


DecodingFlags = OmitArgPrefixes[Decoding]
ReadingFlags = OmitArgPrefixes[Reading]
SpreadingFlags = OmitArgPrefixes[Spreading]
TimingFlags = OmitArgPrefixes[Timing]


def place_of(place: Path) -> str:
    """How a person writes it: of a URL's two slashes a Path keeps one."""
    return Storage.of(place).location if is_remote(place) else str(place)


def report_skipped(skipped: Mapping[str, str]) -> None:
    """Say which files --skip-bad left out, and why the first."""
    if skipped:
        video, reason = next(iter(skipped.items()))
        say(f"{len(skipped)} bad files left out, the first: {video}: {reason}")
