"""A .npy file that grows: rows are written as they come, and nobody needs to know how many there will be."""

from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float
from numpy.lib import format as npy

from sola.core.errors import SolaError


class GrowingArray:
    """Writes an array [rows, channels] piece by piece to a .npy file, in constant memory.

    Within a `with` block; the header is completed when the block ends well. Write aside and rename: until then the
    file is not whole.
    """

    def __init__(self, path: Path, channels: int, dtype: np.dtype) -> None:
        self.path = path
        self.channels = channels
        self.dtype = np.dtype(dtype)
        self.rows = 0

    def __enter__(self) -> "GrowingArray":
        self._file = self.path.open("wb")
        self._write_header()
        return self

    def append(self, rows: Float[np.ndarray, "rows channels"]) -> None:
        """Write more rows. Raises SolaError when there is NaN or infinity in them, or a value that does not fit."""
        if rows.shape[1] != self.channels:
            raise SolaError(f"{self.path.name}: rows of {rows.shape[1]} channels; expected {self.channels}")
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(rows, dtype=self.dtype)
        if not np.isfinite(stored).all():
            largest = np.finfo(self.dtype).max
            raise SolaError(
                f"a feature is NaN, or beyond {self.dtype}'s largest value {largest:g}; try --dtype float32"
            )
        self._file.write(stored.data)
        self.rows += len(stored)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._write_header()  # as long as the first: NumPy leaves room for the rows to grow

    def _write_header(self) -> None:
        described = {
            "descr": npy.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.rows, self.channels),
        }
        npy.write_array_header_1_0(self._file, described)
