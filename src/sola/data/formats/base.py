"""Checks shared by all feature file formats: each file holds one float array [time, channels].

No file is unpickled, and the size in a header is checked against the file before memory is allocated.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError

COMPRESSION = 1100
"""Upper limit of the compression ratio. Deflate reaches 1032 for zeros."""

Array = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Header:
    """Shape and dtype of an array, read before the array itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Size of the values (bytes)."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Format:
    """A feature file format."""

    header: Callable[[Path], Header]
    """Function that returns the checked header. Raises SolaError for a damaged file or one without features."""
    read: Callable[[Path], Array]
    """Function that returns the array as stored, memory-mapped if possible, without checking the values."""
    write: Callable[[Path, Array, Path], None]
    """Function that writes an array to a path with the keys, compression or column names of another file."""
    header_is_cheap: bool
    """Whether `header` reads only a small part of the file."""


def check_header(header: Header, path: str | Path) -> None:
    """Raise SolaError naming `path` unless the array is a non-empty float array [time, channels]."""
    if header.dtype.hasobject:
        raise SolaError(f"{path}: contains pickled Python objects, which are never loaded; save a plain float array")
    if header.dtype.newbyteorder("=") not in (np.float16, np.float32, np.float64):
        raise SolaError(f"{path}: contains {header.dtype}; expected float16, float32 or float64")
    if len(header.shape) != 2:
        raise SolaError(
            f"{path}: contains a {len(header.shape)}-d array of shape {header.shape}; expected [time, channels]"
        )
    if min(header.shape) < 1:
        raise SolaError(f"{path}: contains an empty array of shape {header.shape}; expected at least one snippet")


def check_compressed(header: Header, compressed: int, path: str | Path) -> None:
    """Raise SolaError if the array described by the header cannot fit in this number of compressed bytes."""
    if header.size > COMPRESSION * compressed:
        raise SolaError(
            f"{path}: the header describes {header.size:,} bytes of values, too many for the "
            f"{compressed:,} compressed bytes; save the file again"
        )


def to_dtype(array: Array, dtype: np.dtype[Any], *, what: str, cure: str) -> Array:
    """Convert an array. Raises SolaError with `what` and `cure` if a value is not finite in `dtype`."""
    with np.errstate(over="ignore"):
        converted = array.astype(dtype, copy=False)
    if not np.isfinite(converted).all():
        raise SolaError(f"{what} is NaN or exceeds the largest {dtype} value {np.finfo(dtype).max:g}; {cure}")
    return converted


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn any error of a parser into a SolaError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns about files written by Python 2, but reads them
            yield
    except SolaError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SolaError(f"{path}: cannot be read as {what} ({reason})") from error
