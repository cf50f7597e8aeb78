""".npz files: zip archives of .npy files, one of which holds the features."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np

from sola.core.errors import SolaError
from sola.data.formats.base import Array, Header, check_compressed, check_header, reading
from sola.data.formats.npy import check_size, parse_header


def header(path: Path) -> Header:
    """Return the checked header."""
    with _member(path) as (info, member):
        header, _ = parse_header(member)
        check_header(header, path)
        check_size(header, info.file_size - member.tell(), path)
        check_compressed(header, info.compress_size, path)
        return header


def read(path: Path) -> Array:
    """Return the array."""
    header(path)
    with _member(path) as (_, member):
        return np.lib.format.read_array(member, allow_pickle=False)


def write(path: Path, array: Array, like: Path) -> None:
    """Write the array with the key and compression of `like`."""
    with _member(like) as (info, _):
        name, compression = info.filename, info.compress_type
    with zipfile.ZipFile(path, "w", compression) as archive, archive.open(name, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


@contextmanager
def _member(path: Path) -> Iterator[tuple[zipfile.ZipInfo, BufferedIOBase]]:
    """Open the only array of an archive, or the array with the key `features`."""
    with reading(path, "a .npz file"), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if "features.npy" in names:
            names = ["features.npy"]
        if len(names) != 1:
            keys = ", ".join(repr(name.removesuffix(".npy")) for name in names) or "nothing"
            raise SolaError(f"{path}: contains {keys[:200]}; expected a single array, or one with the key 'features'")
        with archive.open(names[0]) as member:
            yield archive.getinfo(names[0]), cast(BufferedIOBase, member)
