""".csv files: a line per snippet, with or without a line of column names before (BMN, G-TAD)."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.formats.base import Array, Header, check_header, reading
from sola.data.numbers import is_number

LINES = 4
"""Least number of lines at which a column that counts them is no feature."""


def header(path: Path) -> Header:
    """Return the checked header."""
    _, lines = _lines(path)
    header = Header((len(lines), lines[0].count(",") + 1 if lines else 0), np.dtype(np.float32))
    check_header(header, path)
    return header


def read(path: Path) -> Array:
    """Return the array, float32."""
    _, lines = _lines(path)
    if not lines:
        raise SolaError(f"{path}: holds column names and no snippet; expected at least one")
    with reading(path, "a .csv file of numbers"):
        return np.loadtxt(lines, np.float32, delimiter=",", comments=None, ndmin=2)


def write(path: Path, array: Array, like: Path) -> None:
    """Write the array with the column names of `like`, numbered if the number of channels differs."""
    names, _ = _lines(like)
    width = array.shape[1]
    if names is not None and names.count(",") + 1 != width:
        names = ",".join(map(str, range(width)))
    np.savetxt(path, array, "%.9g", delimiter=",", header=names or "", comments="", encoding="utf-8")


def _lines(path: Path) -> tuple[str | None, list[str]]:
    """Return the line of column names, if there is one, and the lines of values."""
    with reading(path, "a .csv file"):
        lines = [line for line in io.StringIO(decoded(path.read_bytes()), newline=None) if line.strip()]
    if not lines:
        raise SolaError(f"{path}: is empty")
    names, values = (lines[0].strip(), lines[1:]) if _is_names(lines[0], path) else (None, lines)
    first = [line.partition(",")[0] for line in values]
    if "," in lines[0] and _counts(first):
        raise SolaError(f"{path}: its first column counts the lines, from {first[0].strip()} on; remove it")
    return names, values


def _counts(cells: list[str]) -> bool:
    """Whether cells of at least four lines are whole numbers, each as much more than the one before."""
    if len(cells) < LINES or not all(cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    step = numbers[1] - numbers[0]
    return step > 0 and all(after - before == step for before, after in pairwise(numbers))


def _is_names(line: str, path: Path) -> bool:
    """Whether a line holds column names: no field is a number, or they count 0, 1, 2, … as pandas does."""
    fields = [field.strip() for field in line.split(",")]
    numbers = sum(is_number(field) for field in fields)
    if len(fields) > 1 and fields == [str(i) for i in range(len(fields))]:
        return True
    if 0 < numbers < len(fields) or "" in fields:
        raise SolaError(f"{path}: its first line is neither values nor column names; expected one or the other")
    return numbers == 0
