""".npy files: NumPy's header, then the values."""

import os
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.formats.base import Array, Header, check_header, reading, to_dtype


def header(path: Path) -> Header:
    """Return the checked header."""
    return _layout(path)[0]


def read(path: Path) -> Array:
    """Return the array, memory-mapped."""
    header, fortran, start = _layout(path)
    with reading(path, "a .npy file"):
        # Mode "c" never writes to the file, and torch.from_numpy accepts the array without a warning.
        order: Any = "F" if fortran else "C"
        return np.memmap(path, header.dtype, mode="c", offset=start, shape=header.shape, order=order)


def write(path: Path, array: Array, like: Path) -> None:
    """Write the array."""
    values = np.ascontiguousarray(array)
    with path.open("wb") as file:
        # the error of write_array on a full disk does not state the reason
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.data)


def parse_header(file: BufferedIOBase) -> tuple[Header, bool]:
    """Return the NumPy header and whether the array is in Fortran order."""
    version = np.lib.format.read_magic(file)
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = parse(file)
    return Header(shape, dtype), fortran


def check_size(header: Header, available: int, path: Path) -> None:
    """Raise SolaError if fewer bytes are available than the header describes."""
    if header.size > available:
        raise SolaError(
            f"{path}: truncated: the header describes {header.size:,} bytes of values, but the file has {available:,}"
        )


def _layout(path: Path) -> tuple[Header, bool, int]:
    """Return the header, whether the array is in Fortran order, and the offset of the first value (bytes)."""
    with reading(path, "a .npy file"), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise SolaError(f"{path}: is empty (0 bytes)")
        header, fortran = parse_header(file)
        check_header(header, path)
        check_size(header, size - file.tell(), path)
        return header, fortran, file.tell()


class NpyWriter:
    """Write an array [rows, channels] to a .npy file in pieces, with constant memory.

    Use it in a `with` block. The header is completed when the block ends without an error.
    """

    def __init__(self, path: Path, channels: int, dtype: np.dtype) -> None:
        self.path = path
        self.channels = channels
        self.dtype = np.dtype(dtype)
        self.rows = 0

    def __enter__(self) -> "NpyWriter":
        self._file = self.path.open("wb")
        self._write_header()
        return self

    def append(self, rows: Float[np.ndarray, "rows channels"]) -> None:
        """Append rows. Raises SolaError for a wrong number of channels or a value that is not finite in the dtype."""
        if rows.shape[1] != self.channels:
            raise SolaError(f"{self.path.name}: rows have {rows.shape[1]} channels; expected {self.channels}")
        stored = to_dtype(rows, self.dtype, what="a feature", cure="try --dtype float32")
        self._file.write(np.ascontiguousarray(stored).data)
        self.rows += len(stored)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._write_header()  # same size as the first header, because NumPy pads it for a growing first axis

    def _write_header(self) -> None:
        shape = (self.rows, self.channels)
        fields = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, fields)
