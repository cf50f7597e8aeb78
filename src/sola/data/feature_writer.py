"""Features written in the layout of those they were computed from."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.features import FeatureSet


def write_like(features: FeatureSet, video: str, array: Float[np.ndarray, "time channels"], path: Path) -> None:
    """Write one video in the format, orientation and dtype of its file in the first source of `features`.

    Args:
        features: the features that `array` was computed from.
        video: an id in `features`.
        array: what to write.
        path: a file, or `archive.h5/video`, which adds to an archive.

    Raises:
        SolaError: if a value does not fit the dtype, or the file cannot be written.
    """
    stream, dtype = features.streams[0], features.header(video).dtype
    with np.errstate(over="ignore"):
        stored = array.astype(dtype, copy=False)
    if not np.isfinite(stored).all():
        raise SolaError(
            f"video {video!r}: a result does not fit {dtype}, whose largest value is "
            f"{np.finfo(dtype).max:g}, or is NaN; scale the features down or store them in a wider dtype"
        )
    stream.format.write(path, stored.T if stream.channels_first else stored, stream.paths[video])
