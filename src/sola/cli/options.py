"""Options that several commands share, and how they open features."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from sola.cli.console import say
from sola.data.features import FeatureSet
from sola.errors import SolaError
from sola.module import SoLa

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


DecodingFlags = OmitArgPrefixes[Decoding]
ReadingFlags = OmitArgPrefixes[Reading]
TimingFlags = OmitArgPrefixes[Timing]


def load_run(run: Path) -> SoLa:
    """The module of a finished run; SolaError when there is no such folder, before any hub is asked."""
    if not run.is_dir():
        raise SolaError(f"{run}: no such folder; expected a finished run of `sola train`")
    return SoLa.from_pretrained(run)


def report_skipped(features: FeatureSet) -> None:
    """Say which files --skip-bad left out."""
    if features.skipped:
        video, reason = next(iter(features.skipped.items()))
        say(f"{len(features.skipped)} bad files left out, the first: {video}: {reason}")
