"""Detections as lines of a table: THUMOS14's text, and CSV with or without a header."""

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
"""Starts, ends, scores and labels of one video."""

NAMES: Mapping[str, Sequence[str]] = {
    "video": ("video", "video_id", "video_name", "id"),
    "start": ("start", "t_start", "start_time", "begin"),
    "end": ("end", "t_end", "end_time", "stop"),
    "class": ("class", "label", "class_name"),
    "score": ("score", "confidence", "conf", "prob", "probability"),
}
"""Columns in their order without a header, and their names in one: lower case, with _ for blanks and hyphens."""


def read_lines(path: Path) -> Iterable[tuple[str, Columns]]:
    """Return the columns of every video (seconds), in order of first appearance.

    Cells are separated by commas, semicolons or tabs, else by blanks; in a `.tsv` file by tabs only. A cell in quotes
    may hold the separator. With a header, columns may be in any order, and others are ignored; without one, a row is
    `video start end class score`.

    Raises SolaError naming the file, the line, and what is missing or malformed.
    """
    try:
        text = decoded(path.read_bytes())
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected lines of video start end class score") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SolaError(f"{path}: cannot be read as lines of text ({error})") from None
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(text)
    rows = enumerate(_rows(text, separator), 1)
    try:
        return _by_video(path, rows, separator).items()
    except csv.Error as error:
        raise SolaError(f"{path}: line {next(rows, (0,))[0]}: {error}; close the quotes of its cells") from None


def _separator(text: str) -> str | None:
    """Return what separates the cells of the first line; None stands for blanks."""
    line = text.lstrip().partition("\n")[0]
    mark = max(",;\t", key=line.count)
    by_blanks = len(line.split()) == len(NAMES) and line.count(mark) != len(NAMES) - 1
    return None if by_blanks or mark not in line else mark


def _rows(text: str, separator: str | None) -> Iterator[list[str]]:
    """Return the cells of each line."""
    if separator is None:
        return map(str.split, text.splitlines())
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)


def _by_video(path: Path, rows: Iterator[tuple[int, list[str]]], separator: str | None) -> dict[str, Columns]:
    """Return the columns of each video. Raises SolaError for a bad row, csv.Error for quotes that do not close."""
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
    """Return the positions of video, start, end, class and score in a header; None for a row of values.

    Raises SolaError if the header lacks one of them, or has two columns for one.
    """
    if any(map(is_number, cells)):
        return None
    names = [cell.strip().casefold().replace("-", "_").replace(" ", "_") for cell in cells]
    found = {what: [at for at, name in enumerate(names) if name in known] for what, known in NAMES.items()}
    if not any(found.values()):
        return None
    if len(found["video"]) > 1:  # "id" may number the rows
        found["video"] = [at for at in found["video"] if names[at] != "id"]
    missing = [what for what, positions in found.items() if not positions]
    if missing:
        raise SolaError(
            f"{path}: line {number}: the header has no column {' and no column '.join(map(repr, missing))}; expected "
            "video, start, end, class and score, in any order: add or rename columns, or remove the header"
        )
    for what, (position, *others) in found.items():
        if others:
            both = f"{cells[position].strip()!r} and {cells[others[0]].strip()!r}"
            raise SolaError(f"{path}: line {number}: both {both} name the {what}; rename or remove one of them")
    return [position for (position,) in found.values()]


def _bad(
    path: Path, number: int, cells: Sequence[str], separator: str | None, header: Sequence[str] | None
) -> SolaError:
    """Return the error for a row that has too many or too few cells, or no numbers where they belong."""
    expected = "five cells, video start end class score, in seconds"
    if header is not None:
        expected = f"{len(header)} cells, as in the header, with numbers as start, end and score"
    elif separator is None and len(cells) > len(NAMES):
        expected += "; where names have blanks, separate cells by commas or tabs"
    return SolaError(f"{path}: line {number}: {(separator or ' ').join(cells)[:60]!r}; expected {expected}")
