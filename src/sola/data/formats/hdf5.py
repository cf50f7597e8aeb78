"""HDF5 archives with one array per video: a dataset named after the video, or the only dataset in a group of that name.

The path of an array is `archive.h5/video`. The archive is opened for each access, so that a feature set can be pickled
and used after a fork.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import unwritable
from sola.data.formats.base import Array, Header, check_compressed, check_header, reading


def videos(archive: Path) -> list[str]:
    """Return the video ids in an archive. Raises SolaError if it is unreadable or h5py is not installed."""
    with _opened(archive) as file:
        names = list(file)
    for name in names:
        if not isinstance(name, str):  # h5py returns bytes for names that are not UTF-8
            raise SolaError(f"{archive}: contains the name {name!r}, which is not UTF-8; use UTF-8 names")
    return names


def header(path: Path) -> Header:
    """Return the checked header."""
    with _opened(path.parent) as file:
        dataset = _dataset(file, path)
        return Header(dataset.shape, dataset.dtype)


def read(path: Path) -> Array:
    """Return the array."""
    with _opened(path.parent) as file:
        array: np.ndarray[Any, Any] = _dataset(file, path)[()]
        return array


def write(path: Path, array: Array, like: Path) -> None:
    """Add the array to a new or existing archive, as a dataset or in a group, in the same way as `like`."""
    import h5py

    with _opened(like.parent) as file:
        _, _, *parts = _dataset(file, like).name.split("/")
    try:
        with h5py.File(path.parent, "a") as file:
            file["/".join([path.name, *parts])] = array
    except OSError as error:
        raise unwritable(path.parent, error) from error


@contextmanager
def _opened(archive: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise SolaError(f"{archive}: reading .h5 files requires h5py; install sola-tal[hdf5]") from None
    with reading(archive, "an .h5 archive"), h5py.File(archive, "r") as file:
        yield file


def _dataset(file: Any, path: Path) -> Any:
    """Return the checked dataset of a video."""
    import h5py

    entry = _child(file, path.name, path)
    if isinstance(entry, h5py.Group):
        if len(entry) != 1:
            raise SolaError(f"{path}: a group of {len(entry)} entries; expected a dataset or a group of one")
        entry = _child(entry, next(iter(entry)), path)
    if not isinstance(entry, h5py.Dataset) or entry.is_virtual or entry.external:
        raise SolaError(f"{path}: not a plain dataset; expected a dataset or a group of one, stored in this file")
    if entry.shape is None:
        raise SolaError(f"{path}: is empty")
    header = Header(entry.shape, entry.dtype)
    check_header(header, path)
    check_compressed(header, entry.id.get_storage_size(), path)  # unwritten values take no space
    return entry


def _child(group: Any, name: str, path: Path) -> Any:
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise SolaError(f"{path}: links are not followed; store the array itself")
    return group[name]
