"""What a feature file may hold, whatever its format: one array of floats [time, channels]."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError

PACKED = 1100
"""Bytes that a compressed byte can stand for: deflate's best is 1032, of zeros."""

Array = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Header:
    """What a file says of its array, before the array is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


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


def check_packed(header: Header, packed: int, path: str | Path) -> None:
    """Raise SolaError where compressed data of so many bytes cannot be what a header promises."""
    promised = math.prod(header.shape) * header.dtype.itemsize
    if promised > PACKED * packed:
        raise SolaError(
            f"{path}: its header promises {promised:,} bytes of values, {packed:,} compressed ones are there, which "
            "cannot hold them"
        )


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn whatever a parser trips over in a damaged file into a SolaError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of files of Python 2, which it reads
            yield
    except SolaError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SolaError(f"{path}: cannot be read as {what} ({reason})") from error
