"""What a feature file may hold in any format: one array of floats, [time, channels].

Nothing is unpickled, and the size in a header is checked against the file before memory is allocated.
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
"""Upper limit of the compression ratio; deflate reaches 1032, for zeros."""

Array = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Header:
    """Shape and dtype of an array, known before the array is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Format:
    """Access to the array in a file of one format."""

    header: Callable[[Path], Header]
    """Returns the checked header; raises SolaError if the file is damaged or holds no features."""
    read: Callable[[Path], Array]
    """Returns the array as stored, memory-mapped where possible; the values are not checked."""
    write: Callable[[Path, Array, Path], None]
    """Writes an array to a path with the keys, compression or column names of another file, the last argument."""
    header_is_cheap: bool
    """Whether `header` reads a small part of the file only."""


def check_header(header: Header, path: str | Path) -> None:
    """Raise SolaError, naming `path`, unless the array is [time, channels], not empty, of float16, 32 or 64."""
    if header.dtype.hasobject:
        raise SolaError(f"{path}: holds pickled Python objects, which are never loaded; save a plain float array")
    if header.dtype.newbyteorder("=") not in (np.float16, np.float32, np.float64):
        raise SolaError(f"{path}: holds {header.dtype}; expected float16, float32 or float64")
    if len(header.shape) != 2:
        raise SolaError(
            f"{path}: holds a {len(header.shape)}-d array of shape {header.shape}; expected [time, channels]"
        )
    if min(header.shape) < 1:
        raise SolaError(f"{path}: holds an empty array of shape {header.shape}; expected at least one snippet")


def check_compressed(header: Header, compressed: int, path: str | Path) -> None:
    """Raise SolaError if this number of compressed bytes cannot hold the array that the header promises."""
    if header.size > COMPRESSION * compressed:
        raise SolaError(
            f"{path}: its header promises {header.size:,} bytes of values, {compressed:,} compressed ones are there, "
            "which cannot hold them"
        )


def to_dtype(array: Array, dtype: np.dtype[Any], *, what: str, cure: str) -> Array:
    """Convert an array. Raises SolaError, with `what` and `cure`, if a value is not finite in `dtype`."""
    with np.errstate(over="ignore"):
        converted = array.astype(dtype, copy=False)
    if not np.isfinite(converted).all():
        raise SolaError(f"{what} is NaN, or beyond {dtype}'s largest value {np.finfo(dtype).max:g}; {cure}")
    return converted


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn any error that a parser raises for a damaged file into a SolaError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of files of Python 2, which it reads
            yield
    except SolaError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SolaError(f"{path}: cannot be read as {what} ({reason})") from error
