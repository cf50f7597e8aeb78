"""Packed features: all videos in one array, from which training gathers windows by index."""

import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from sola.core.errors import SolaError
from sola.core.files import unwritable
from sola.data.features import FeatureSet


@dataclass(frozen=True, eq=False)
class PackedFeatures:
    """The snippets of all videos in one array, video after video."""

    values: Float[np.ndarray, "total channels"]
    """Snippets of all videos."""
    starts: Int[np.ndarray, " bounds"]
    """First row of each video, followed by the total number of rows."""
    videos: tuple[str, ...]
    mapped_in: Path | None = None
    """Folder of the unnamed file behind memory-mapped values, or None if the values are in memory."""

    @property
    def lengths(self) -> Int[np.ndarray, " videos"]:
        """Number of snippets of each video."""
        return np.diff(self.starts)

    def video(self, index: int) -> Float[np.ndarray, "time channels"]:
        """Return a view of the snippets of a video."""
        return self.values[self.starts[index] : self.starts[index + 1]]

    def row_each(self, channels: int) -> Float32[np.ndarray, "videos channels"]:
        """Return an uninitialized array with one row per video, memory-mapped if the values are."""
        limit = None if self.mapped_in is None else 0
        return allocate((len(self.videos), channels), np.dtype(np.float32), limit, self.mapped_in)


def pack(
    features: FeatureSet,
    memory_limit: int | None = None,
    folder: Path | None = None,
    *,
    skipped: dict[str, str] | None = None,
) -> PackedFeatures:
    """Copy a feature set into one array in its stored dtype.

    Args:
        features: features of the videos to copy.
        memory_limit: size (bytes) above which the array is memory-mapped from an unnamed file in `folder`.
        folder: folder for the memory-mapped file.
        skipped: receives the reasons for skipped files, by video id.

    Raises SolaError for a bad file, or for a folder that is missing or has too little free space.
    """
    headers = features.headers(skipped).values()
    shape = (sum(header.shape[0] for header in headers), features.channels)
    dtypes = {header.dtype for header in headers} or {np.dtype(np.float32)}
    values = allocate(shape, np.result_type(*dtypes), memory_limit, folder)

    videos, starts = [], [0]
    for video, array in features.items(skipped):
        stop = starts[-1] + len(array)
        if stop > len(values):
            raise SolaError(f"video {video!r}: the file changed while it was read; try again")
        values[starts[-1] : stop] = array
        videos.append(video)
        starts.append(stop)
        del array  # free this array before the next file is read
    mapped_in = folder if isinstance(values, np.memmap) else None
    return PackedFeatures(values[: starts[-1]], np.array(starts, np.int64), tuple(videos), mapped_in)


def allocate(shape: tuple[int, ...], dtype: np.dtype[Any], memory_limit: int | None, folder: Path | None) -> np.ndarray:
    """Return an uninitialized array, memory-mapped if larger than `memory_limit` bytes; see `pack`."""
    size = math.prod(shape) * dtype.itemsize
    if memory_limit is None or size <= memory_limit:
        return np.empty(shape, dtype)
    if folder is None:
        raise SolaError(
            f"the features need {size:,} bytes of memory, but the limit is {memory_limit:,}; pass a folder for them"
        )
    try:
        free = shutil.disk_usage(folder).free
        if free < size:
            raise SolaError(f"{folder}: has {free:,} bytes free; expected {size:,} for the packed features")
        with tempfile.TemporaryFile(dir=folder) as file:  # unnamed, so that a crash leaves no file behind
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise unwritable(folder, error) from error
