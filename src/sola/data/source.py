"""Location and reading options of a data set, as a record for JSON files."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from sola.data.annotations import Annotations, read_annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.names import IdFrom


class DataSource(msgspec.Struct, frozen=True):
    """Paths of features and annotations, and options for reading them."""

    features: tuple[Path, ...]
    """Folders or HDF5 files; several are joined on channels."""
    annotations: Path
    label_key: str = "label"
    train_subset: str = "training"
    """Subset for training: modules without labels, detectors and linear classifiers with labels."""
    test_subset: str = "validation"
    """Subset for all metrics."""
    channels_first: bool = False
    """Whether arrays in `features` are [channels, time]."""
    skip_bad: bool = False
    id_prefix: str | None = None
    classifier: Path | None = None
    """Class scores of whole videos, for detectors that predict no classes."""
    timing: dict[Literal["fps", "stride", "window", "offset"], float] = {}
    """Values for what the manifest of the features lacks."""
    streams: tuple[str, ...] = ()
    """Streams in one folder of `features`, by the ends or starts of its file names."""
    id_from: IdFrom = "name"
    trim_padding: bool = False
    """Whether identical snippets at the end of the raw features are left out."""

    def open_annotations(self) -> Annotations:
        """Read the annotations of all subsets."""
        return read_annotations(self.annotations, self.label_key)

    def open_features(self, folder: Path | None = None) -> FeatureSet:
        """Open the raw features, or the features in `folder` that were computed from them."""
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
        """Open the raw features, or the features in `folder`, with the annotations."""
        return Dataset.open(self.open_features(folder), self.open_annotations(), id_prefix=self.id_prefix)

    def to_json(self) -> dict[str, Any]:
        """Plain values; paths are absolute."""
        values: dict[str, Any] = msgspec.to_builtins(self, enc_hook=encode_path)
        return values


def encode_path(value: object) -> object:
    """Encode a path as an absolute one (msgspec's `enc_hook`)."""
    if isinstance(value, Path):
        return str(value.absolute())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode_path(wanted: type, value: object) -> object:
    """Decode a path (msgspec's `dec_hook`)."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected a {wanted.__name__}, found {value!r}")
