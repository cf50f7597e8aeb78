""".csv files: one line per snippet, with an optional line of column names (BMN, G-TAD)."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.formats.base import Array, Header, check_header, reading
from sola.data.numbers import is_number

LINES = 4
"""Minimum number of lines for a first column of line numbers to be recognized."""


def header(path: Path) -> Header:
    """Return the checked header."""
    _, lines = _lines(path)
    header = Header((len(lines), lines[0].count(",") + 1 if lines else 0), np.dtype(np.float32))
    check_header(header, path)
    return header


def read(path: Path) -> Array:
    """Return the array as float32."""
    _, lines = _lines(path)
    if not lines:
        raise SolaError(f"{path}: has column names but no snippets; expected at least one snippet")
    with reading(path, "a .csv file of numbers"):
        return np.loadtxt(lines, np.float32, delimiter=",", comments=None, ndmin=2)


def write(path: Path, array: Array, like: Path) -> None:
    """Write the array with the column names of `like`, or with numbers if the number of channels differs."""
    names, _ = _lines(like)
    width = array.shape[1]
    if names is not None and names.count(",") + 1 != width:
        names = ",".join(map(str, range(width)))
    np.savetxt(path, array, "%.9g", delimiter=",", header=names or "", comments="", encoding="utf-8")


def _lines(path: Path) -> tuple[str | None, list[str]]:
    """Return the line of column names, or None, and the lines of values."""
    with reading(path, "a .csv file"):
        lines = [line for line in io.StringIO(decoded(path.read_bytes()), newline=None) if line.strip()]
    if not lines:
        raise SolaError(f"{path}: is empty")
    names, values = (lines[0].strip(), lines[1:]) if _is_names(lines[0], path) else (None, lines)
    first = [line.partition(",")[0] for line in values]
    if "," in lines[0] and _are_line_numbers(first):
        raise SolaError(f"{path}: the first column is a line number that starts at {first[0].strip()}; remove it")
    return names, values


def _are_line_numbers(cells: list[str]) -> bool:
    """Return True for at least four integers that increase by a constant step."""
    if len(cells) < LINES or not all(cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    step = numbers[1] - numbers[0]
    return step > 0 and all(right - left == step for left, right in pairwise(numbers))


def _is_names(line: str, path: Path) -> bool:
    """Return True if the line has column names: no field is a number, or the fields are 0, 1, 2, … as in pandas."""
    fields = [field.strip() for field in line.split(",")]
    numbers = sum(is_number(field) for field in fields)
    if len(fields) > 1 and fields == [str(i) for i in range(len(fields))]:
        return True
    if 0 < numbers < len(fields) or "" in fields:
        raise SolaError(f"{path}: the first line mixes numbers and text; expected only values or only column names")
    return numbers == 0
