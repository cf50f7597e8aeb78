"""Read detections from THUMOS14 text files, and from CSV with or without a header."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.numbers import is_number

Columns = tuple[list[float], list[float], list[float], list[str]]
"""Starts (seconds), ends (seconds), scores and labels of one video."""

NAMES: Mapping[str, Sequence[str]] = {
    "video": ("video", "video_id", "video_name", "id"),
    "start": ("start", "t_start", "start_time", "begin"),
    "end": ("end", "t_end", "end_time", "stop"),
    "class": ("class", "label", "class_name"),
    "score": ("score", "confidence", "conf", "prob", "probability"),
}
"""Columns, in the order of a file without a header, and their names in a header: lower case, with _ for spaces and
hyphens."""


def read_lines(path: Path) -> Iterable[tuple[str, Columns]]:
    """Return the columns of each video, in order of first appearance.

    Cells are separated by commas, semicolons, tabs or spaces, and in a `.tsv` file by tabs only. A quoted cell may
    contain the separator. With a header, columns may be in any order, and other columns are ignored. Without a header,
    a row is `video start end class score`.

    Raises SolaError naming the file, the line, and the missing or malformed value.
    """
    try:
        text = decoded(path.read_bytes())
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected lines of video start end class score") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SolaError(f"{path}: cannot be read as text ({error})") from None
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(text)
    rows = enumerate(_rows(text, separator), 1)
    try:
        return _by_video(path, rows, separator).items()
    except csv.Error as error:
        raise SolaError(f"{path}: line {next(rows, (0,))[0]}: {error}; close the quotes") from None


def _separator(text: str) -> str | None:
    """Return the cell separator of the first line, or None for spaces."""
    line = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=line.count)
    by_spaces = len(line.split()) == len(NAMES) and line.count(separator) != len(NAMES) - 1
    return None if by_spaces or separator not in line else separator


def _rows(text: str, separator: str | None) -> Iterator[list[str]]:
    """Return the cells of each line."""
    if separator is None:
        return map(str.split, text.splitlines())
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)


def _by_video(path: Path, rows: Iterator[tuple[int, list[str]]], separator: str | None) -> dict[str, Columns]:
    """Return the columns of each video. Raises SolaError for a bad row, and csv.Error for unclosed quotes."""
    videos: dict[str, Columns] = {}
    first = next((row for row in rows if any(map(str.strip, row[1]))), None)
    if first is None:
        return videos
    positions = _header(path, *first)
    width = len(first[1]) if positions else len(NAMES)
    pick = itemgetter(*(positions or range(len(NAMES))))
    for number, cells in rows if positions else itertools.chain([first], rows):
        try:
            if len(cells) != width:
                raise ValueError
            video, start, end, label, score = pick(cells)
            row = float(start), float(end), float(score)
        except ValueError:
            if not any(map(str.strip, cells)):  # an empty line
                continue
            raise _bad(path, number, cells, separator, header=first[1] if positions else None) from None
        video = video.strip()
        columns = videos.get(video)
        if columns is None:
            columns = videos[video] = ([], [], [], [])
        columns[0].append(row[0])
        columns[1].append(row[1])
        columns[2].append(row[2])
        columns[3].append(label.strip())
    return videos


def _header(path: Path, number: int, cells: Sequence[str]) -> list[int] | None:
    """Return the positions of video, start, end, class and score in a header, or None for a row of values.

    Raises SolaError if a column is missing or has two candidates.
    """
    if any(map(is_number, cells)):
        return None
    names = [cell.strip().casefold().replace("-", "_").replace(" ", "_") for cell in cells]
    candidates = {what: [at for at, name in enumerate(names) if name in known] for what, known in NAMES.items()}
    if not any(candidates.values()):
        return None
    if len(candidates["video"]) > 1:  # "id" may be a row number
        candidates["video"] = [at for at in candidates["video"] if names[at] != "id"]
    missing = [what for what, positions in candidates.items() if not positions]
    if missing:
        raise SolaError(
            f"{path}: line {number}: the header has no column {' and no column '.join(map(repr, missing))}; expected "
            "video, start, end, class and score, in any order: add or rename columns, or remove the header"
        )
    for what, (position, *others) in candidates.items():
        if others:
            both = f"{cells[position].strip()!r} and {cells[others[0]].strip()!r}"
            raise SolaError(f"{path}: line {number}: both {both} name the {what}; rename or remove one of them")
    return [position for (position,) in candidates.values()]


def _bad(
    path: Path, number: int, cells: Sequence[str], separator: str | None, header: Sequence[str] | None
) -> SolaError:
    """Return the error for a row with a wrong number of cells or with values that are not numbers."""
    expected = "five cells, video start end class score, in seconds"
    if header is not None:
        expected = f"{len(header)} cells, as in the header, with numbers as start, end and score"
    elif separator is None and len(cells) > len(NAMES):
        expected += "; if names contain spaces, separate the cells with commas or tabs"
    return SolaError(f"{path}: line {number}: {(separator or ' ').join(cells)[:60]!r}; expected {expected}")
