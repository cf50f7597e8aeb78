"""One array per file: how each format is looked at, read and written; videos and directories are not known here.

Nothing is unpickled, and what a header claims is checked against the file before memory is taken for it.
"""

import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sola.core.errors import SolaError
from sola.data.hdf5 import hdf5_header, read_hdf5, write_hdf5
from sola.data.header import Array, Header, check_header, check_packed, reading

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Format:
    """How one kind of file holds one array."""

    header: Callable[[Path], Header]
    """Return a file's checked header; SolaError when the file is damaged or its array is none of features."""
    read: Callable[[Path], Array]
    """Return a file's array as stored, mapped into memory where possible; the values are not looked at."""
    write: Callable[[Path, Array, Path], None]
    """Write an array to a path in the ways of another file, given last: keys, compression, column names."""
    header_is_cheap: bool
    """Whether `header` needs a glance at the file and not all of it."""


# .npy: NumPy's header, then the values


def _npy_header(path: Path) -> Header:
    return _npy_layout(path)[0]


def _npy_layout(path: Path) -> tuple[Header, bool, int]:
    """Return the header, whether columns come first in the file, and where the values begin."""
    with reading(path, "a .npy file"), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise SolaError(f"{path}: is empty (0 bytes)")
        header, fortran = _parse_npy(file)
        check_header(header, path)
        _check_promise(header, size - file.tell(), path)
        return header, fortran, file.tell()


def _parse_npy(file: BufferedIOBase) -> tuple[Header, bool]:
    version = np.lib.format.read_magic(file)
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = parse(file)
    return Header(shape, dtype), fortran


def _check_promise(header: Header, held: int, path: Path) -> None:
    promised = math.prod(header.shape) * header.dtype.itemsize
    if promised > held:
        raise SolaError(f"{path}: is truncated: its header promises {promised:,} bytes of values, {held:,} are there")


def _read_npy(path: Path) -> np.ndarray:
    header, fortran, begin = _npy_layout(path)
    with reading(path, "a .npy file"):
        # Mode "c" never writes to the file, and gives an array that torch.from_numpy takes without a warning.
        order: Any = "F" if fortran else "C"
        return np.memmap(path, header.dtype, mode="c", offset=begin, shape=header.shape, order=order)


def _write_npy(path: Path, array: Array, like: Path) -> None:
    values = np.ascontiguousarray(array)
    with path.open("wb") as file:
        # not write_array, which says of a full disk only how many values were written
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.data)


# .npz: a zip archive of .npy files


@contextmanager
def _npz_member(path: Path) -> Iterator[tuple[zipfile.ZipInfo, BufferedIOBase]]:
    """Open the one array of an archive, or the one called `features`."""
    with reading(path, "a .npz file"), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if "features.npy" in names:
            names = ["features.npy"]
        if len(names) != 1:
            keys = ", ".join(repr(name.removesuffix(".npy")) for name in names) or "nothing"
            raise SolaError(f"{path}: holds {keys[:200]}; expected a single array, or one with the key 'features'")
        with archive.open(names[0]) as member:
            yield archive.getinfo(names[0]), cast(BufferedIOBase, member)


def _npz_header(path: Path) -> Header:
    with _npz_member(path) as (info, member):
        header, _ = _parse_npy(member)
        check_header(header, path)
        _check_promise(header, info.file_size - member.tell(), path)
        check_packed(header, info.compress_size, path)
        return header


def _read_npz(path: Path) -> np.ndarray:
    _npz_header(path)
    with _npz_member(path) as (_, member):
        return np.lib.format.read_array(member, allow_pickle=False)


def _write_npz(path: Path, array: Array, like: Path) -> None:
    with _npz_member(like) as (info, _):
        name, compression = info.filename, info.compress_type
    with (
        zipfile.ZipFile(path, "w", compression) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


# .pt: a tensor, or a dict that holds one


def _load_tensor(path: Path) -> tuple[Any, "torch.Tensor"]:
    """Return the tensor, mapped into memory where possible, and before it its key if it is in a dict."""
    import torch

    with reading(path, "a .pt file of tensors (weights_only)"):
        if path.stat().st_size == 0:
            raise SolaError(f"{path}: is empty (0 bytes)")
        mapped = zipfile.is_zipfile(path)
        value = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        tensors = value if isinstance(value, dict) else {None: value}
        tensors = {key: entry for key, entry in tensors.items() if isinstance(entry, torch.Tensor)}
        if "features" in tensors:
            tensors = {"features": tensors["features"]}
        if len(tensors) != 1:
            raise SolaError(f"{path}: holds {len(tensors)} tensors; expected one, or a dict with the key 'features'")
        ((key, tensor),) = tensors.items()
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise SolaError(f"{path}: holds a {tensor.layout} tensor on {tensor.device}; expected a plain tensor")
        held, size = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.itemsize
        if size > held:
            raise SolaError(f"{path}: holds {held:,} bytes that stand for {size:,}; save the tensor as .contiguous()")
        return key, tensor.detach()


def _pt_header(path: Path) -> Header:
    array = _read_pt(path)
    return Header(array.shape, array.dtype)


def _read_pt(path: Path) -> np.ndarray:
    import torch

    _, tensor = _load_tensor(path)
    with reading(path, "a .pt file of tensors (weights_only)"):
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    check_header(Header(array.shape, array.dtype), path)
    return array


def _write_pt(path: Path, array: Array, like: Path) -> None:
    import torch

    key, original = _load_tensor(like)
    tensor = torch.tensor(array)
    if original.dtype == torch.bfloat16:  # which NumPy does not have: it was read as float32
        tensor = tensor.bfloat16()
    file = BytesIO()
    torch.save(tensor if key is None else {key: tensor}, file)
    path.write_bytes(file.getbuffer())  # a full disk is an OSError here, and is not where torch.save writes


# .csv: a snippet a line, below a line of column names or not (BMN, G-TAD)


def _read_csv_lines(path: Path) -> tuple[str | None, list[str]]:
    """Return the line of column names, if there is one, and the lines of values."""
    with reading(path, "a .csv file"), path.open(encoding="utf-8-sig") as file:
        lines = [line for line in file if line.strip()]
    if not lines:
        raise SolaError(f"{path}: is empty")
    return (lines[0].strip(), lines[1:]) if _is_names(lines[0], path) else (None, lines)


def _is_names(line: str, path: Path) -> bool:
    """Tell a line of column names: no field is a number, or they count 0, 1, 2, … as pandas does."""
    fields = [field.strip() for field in line.split(",")]
    numbers = sum(_is_number(field) for field in fields)
    if len(fields) > 1 and fields == [str(i) for i in range(len(fields))]:
        return True
    if 0 < numbers < len(fields) or "" in fields:
        raise SolaError(f"{path}: its first line is neither values nor column names; expected one or the other")
    return numbers == 0


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _csv_header(path: Path) -> Header:
    _, lines = _read_csv_lines(path)
    header = Header((len(lines), lines[0].count(",") + 1 if lines else 0), np.dtype(np.float32))
    check_header(header, path)
    return header


def _read_csv(path: Path) -> np.ndarray:
    _, lines = _read_csv_lines(path)
    if not lines:
        raise SolaError(f"{path}: holds column names and no snippet; expected at least one")
    with reading(path, "a .csv file of numbers"):
        return np.loadtxt(lines, np.float32, delimiter=",", comments=None, ndmin=2)


def _write_csv(path: Path, array: Array, like: Path) -> None:
    names, _ = _read_csv_lines(like)
    width = array.shape[1]
    if names is not None and names.count(",") + 1 != width:
        names = ",".join(str(i) for i in range(width))  # two streams were joined: readers still skip a first line
    np.savetxt(path, array, "%.9g", delimiter=",", header=names or "", comments="", encoding="utf-8")


FORMATS = {
    ".npy": Format(_npy_header, _read_npy, _write_npy, header_is_cheap=True),
    ".npz": Format(_npz_header, _read_npz, _write_npz, header_is_cheap=True),
    ".pt": Format(_pt_header, _read_pt, _write_pt, header_is_cheap=False),
    ".csv": Format(_csv_header, _read_csv, _write_csv, header_is_cheap=False),
    ".h5": Format(hdf5_header, read_hdf5, write_hdf5, header_is_cheap=True),
}
