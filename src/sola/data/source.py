"""Where a data set lies and how it is read, as a record that JSON files hold."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.features import FeatureSet
from sola.data.ids import match_videos


class DataSource(msgspec.Struct, frozen=True):
    """Paths of features and annotations, and the options they are read with."""

    features: tuple[Path, ...]
    """Folders or HDF5 files; several are joined on channels."""
    annotations: Path
    label_key: str = "label"
    train_subset: str = "training"
    """Subset that modules are trained on without labels, and detectors and linear classifiers with them."""
    test_subset: str = "validation"
    """Subset that every metric is measured on."""
    channels_first: bool = False
    """Whether arrays in `features` are [channels, time]."""
    skip_bad: bool = False
    id_prefix: str | None = None
    classifier: Path | None = None
    """Class scores of whole videos, for the proposals of detectors that predict no classes."""
    timing: dict[Literal["fps", "stride", "window", "offset"], float] = {}
    """Values that the features' manifest lacks."""

    def open_annotations(self) -> Annotations:
        """Read the annotations of all subsets."""
        return read_annotations(self.annotations, self.label_key)

    def open_features(self, folder: Path | None = None) -> FeatureSet:
        """Open the raw features, or the features in `folder` that were computed from them."""
        if folder is not None:
            features = FeatureSet.open(folder)
        else:
            features = FeatureSet.open(self.features, channels_first=self.channels_first, skip_bad=self.skip_bad)
        return features.with_manifest(features.manifest.filled(dict(self.timing.items())))

    def records(self, features: FeatureSet, subset: str) -> dict[str, VideoAnnotation]:
        """Annotations of the videos of one subset that have features, by their id in the features.

        Raises SolaError for an unknown subset, or one without features.
        """
        annotations = self.open_annotations()
        wanted = annotations.subset(subset).videos
        matched = match_videos(features.videos, annotations.videos, self.id_prefix).videos
        records = {ours: wanted[theirs] for ours, theirs in matched.items() if theirs in wanted}
        if not records:
            raise SolaError(f"subset {subset!r}: none of its {len(wanted)} videos has features")
        return records

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
