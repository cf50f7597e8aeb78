"""Paths and reading options of a data set, as a JSON record."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from sola.data.annotations import Annotations, read_annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.names import IdFrom


class DataSource(msgspec.Struct, frozen=True):
    """Paths of features and annotations, with reading options."""

    features: tuple[Path, ...]
    """Folders or HDF5 files; several are joined along channels."""
    annotations: Path
    """Annotation file or folder."""
    label_key: str = "label"
    """Class field of the annotations."""
    train_subset: str = "training"
    """Training subset: without labels for modules, with labels for detectors and linear classifiers."""
    test_subset: str = "validation"
    """Subset on which all metrics are computed."""
    channels_first: bool = False
    """Whether arrays in `features` are [channels, time]."""
    skip_bad: bool = False
    """Whether bad feature files are skipped."""
    id_prefix: str | None = None
    """Prefix of the video ids on one side only, or None to detect it."""
    classifier: Path | None = None
    """File of video-level class scores, for detectors without classes."""
    timing: dict[Literal["fps", "stride", "window", "offset"], float] = {}
    """Timing values that the feature manifest lacks (fps in frames per second, others in frames)."""
    streams: tuple[str, ...] = ()
    """Stream names in one folder of `features`, from the ends or starts of its file names."""
    id_from: IdFrom = "name"
    """Whether video ids are file names or paths in the folder."""
    trim_padding: bool = False
    """Whether identical snippets at the end of the raw features are removed."""

    def open_annotations(self) -> Annotations:
        """Read the annotations of all subsets."""
        return read_annotations(self.annotations, self.label_key)

    def open_features(self, folder: Path | None = None) -> FeatureSet:
        """Open the raw features, or derived features in `folder`."""
        raw = folder is None
        features = FeatureSet.open(
            self.features if folder is None else folder,
            channels_first=raw and self.channels_first,
            skip_bad=raw and self.skip_bad,
            stream_suffixes=self.streams if raw else (),
            id_from=self.id_from,
            trim_padding=raw and self.trim_padding,
        )
        return features.with_timing(dict(self.timing.items()))

    def open(self, folder: Path | None = None) -> Dataset:
        """Open the raw features, or derived features in `folder`, with the annotations."""
        return Dataset.open(self.open_features(folder), self.open_annotations(), id_prefix=self.id_prefix)

    def to_json(self) -> dict[str, Any]:
        """Return plain values with absolute paths."""
        values: dict[str, Any] = msgspec.to_builtins(self, enc_hook=encode_path)
        return values


def encode_path(value: object) -> object:
    """Encode a path as an absolute path (msgspec `enc_hook`)."""
    if isinstance(value, Path):
        return str(value.absolute())
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")


def decode_path(wanted: type, value: object) -> object:
    """Decode a path (msgspec `dec_hook`)."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected a {wanted.__name__}, got {value!r}")
