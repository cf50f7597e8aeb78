"""Class scores of whole videos from an external classifier, as published files hold them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.data.thumos14 import NUMBERS

PREFIX = "v_"
"""What ActivityNet's files put before a video's id, or leave out."""


@dataclass(frozen=True, eq=False)
class VideoScores:
    """One row of class scores a video."""

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Float[np.ndarray, "videos classes"]

    def of(self, video: str) -> Float[np.ndarray, " classes"]:
        """Return a video's row; raises SolaError when there is none."""
        if video not in self.videos:
            raise SolaError(f"video {video!r}: no class scores; name it when reading the classifier's file")
        row: np.ndarray = self.scores[self.videos.index(video)]
        return row


def thumos14_layout(videos: int = 1574) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the rows and columns of UntrimmedNet's `uNet_test.npy`, for `read_classifier`.

    Row i is test video i+1 of all, column j is UCF-101's class j+1, named by its number where THUMOS14 does not
    annotate it. Source: how G-TAD and OpenTAD index the file.
    """
    rows = tuple(f"video_test_{number:07d}" for number in range(1, videos + 1))
    return rows, tuple(NUMBERS.get(number, str(number)) for number in range(1, 102))


def read_classifier(
    path: Path,
    *,
    videos: Sequence[str],
    classes: Sequence[str],
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    logits: bool = False,
) -> VideoScores:
    """Read the class scores of `videos`, ordered as `classes`, from a file of any of three layouts.

    `{"results": {video: [score, …]}, "class": [name, …]}` (CUHK's for ActivityNet; "classes" will do, and so
    will a row within a row, as TCANet's for HACS); `{"results": {video: [{"label", "score"}, …]}}`, where a class not
    listed has score 0; and `.npy` of [videos, classes]. `rows` and `columns` name what the file itself does not
    name: the rows of an array, and the columns of an array or of a JSON file without names. By default they are
    `videos` and `classes`. A JSON file's video ids may have ActivityNet's `v_` or lack it. `logits` takes the softmax
    over all the file's classes.

    Raises SolaError when a video or class is missing, a size is wrong, or a score is not finite or (but for
    logits) negative.
    """
    if path.suffix == ".npy":
        named = tuple(columns if columns is not None else classes)
        table = _array_rows(path, videos, tuple(rows if rows is not None else videos), named)
    else:
        named, table = _json_rows(path, videos, columns if columns is not None else classes)
    if not np.isfinite(table).all():
        bad = int(np.flatnonzero(~np.isfinite(table).all(1))[0])
        raise SolaError(f"{path}: video {videos[bad]!r} has a score that is not finite; expected numbers")
    if logits:
        table = np.exp(table - table.max(1, keepdims=True))
        table /= table.sum(1, keepdims=True)
    elif (table < 0).any():
        bad = int(np.flatnonzero((table < 0).any(1))[0])
        raise SolaError(f"{path}: video {videos[bad]!r} has a negative score; pass logits=True if these are logits")
    column = _positions(path, "class", named, classes)
    return VideoScores(tuple(videos), tuple(classes), table[:, column])


def read_scores(path: Path, videos: Sequence[str], classes: Sequence[str]) -> VideoScores:
    """Read published class scores of these videos; an array is taken for UntrimmedNet's, of THUMOS14's test videos.

    Raises SolaError as `read_classifier` does.
    """
    if path.suffix == ".npy":
        rows, columns = thumos14_layout()
        return read_classifier(path, videos=videos, classes=classes, rows=rows, columns=columns)
    return read_classifier(path, videos=videos, classes=classes)


def _array_rows(
    path: Path, videos: Sequence[str], rows: tuple[str, ...], columns: tuple[str, ...]
) -> Float[np.ndarray, "videos columns"]:
    try:
        # mapped: a header that promises more than the file has is refused before memory is taken
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected class scores as .npy") from None
    except (OSError, ValueError, EOFError) as error:
        raise SolaError(f"{path}: cannot be read as a .npy array of numbers ({error})") from None
    if not isinstance(values, np.ndarray):
        raise SolaError(f"{path}: is an archive of arrays; expected one .npy array of class scores")
    if values.shape != (len(rows), len(columns)) or values.dtype.kind not in "fiu":
        raise SolaError(
            f"{path}: {values.dtype} of shape {values.shape}; expected numbers of shape ({len(rows)}, {len(columns)}), "
            "a row a video and a column a class; pass rows= and columns= that name all of the file's"
        )
    table: np.ndarray = values[_positions(path, "video", rows, videos)].astype(np.float64)
    return table


def _json_rows(
    path: Path, videos: Sequence[str], columns: Sequence[str]
) -> tuple[tuple[str, ...], Float[np.ndarray, "videos columns"]]:
    """The names of the columns, and a row for each of `videos`."""
    content = read_json(path, "class scores")
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise SolaError(f'{path}: no object "results"; expected {{"results": {{video: scores}}}}')
    names = content.get("class", content.get("classes", list(columns)))
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise SolaError(f'{path}: "class" is not a list of names; expected one a column')
    at = {name: position for position, name in enumerate(names)}
    table = np.zeros((len(videos), len(names)))
    for row, video in zip(table, videos, strict=True):
        key = next((key for key in (video, PREFIX + video, video.removeprefix(PREFIX)) if key in results), None)
        if key is None:
            raise SolaError(f"{path}: no video {video!r} in its results; expected every video asked for")
        value = results[key]
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]
        if not isinstance(value, list):
            raise SolaError(f"{path}: video {video!r} has no list of scores")
        if value and isinstance(value[0], dict):
            _fill(path, video, row, value, at)
            continue
        if len(value) != len(names):
            raise SolaError(f"{path}: video {video!r} has {len(value)} scores; expected {len(names)}, one a class")
        row[:] = [_number(path, video, score) for score in value]
    return tuple(names), table


def _fill(path: Path, video: str, row: Float[np.ndarray, " columns"], value: list[Any], at: dict[str, int]) -> None:
    """Write the scores of [{"label", "score"}, …] into a row of zeros."""
    for entry in value:
        if not (isinstance(entry, dict) and "label" in entry and "score" in entry):
            raise SolaError(f'{path}: video {video!r} has an entry without "label" and "score"')
        if not isinstance(entry["label"], str) or entry["label"] not in at:
            raise SolaError(f"{path}: video {video!r} has the label {entry['label']!r}, which is none of the classes")
        row[at[entry["label"]]] = _number(path, video, entry["score"])


def _number(path: Path, video: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SolaError(f"{path}: video {video!r} has the score {value!r}; expected a number")
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _positions(path: Path, what: str, names: Sequence[str], wanted: Sequence[str]) -> Int[np.ndarray, " wanted"]:
    at = {name: position for position, name in enumerate(names)}
    missing = [name for name in wanted if name not in at]
    if missing:
        raise SolaError(f"{path}: no {what} {missing[0]!r} ({len(missing)} missing); expected every {what} asked for")
    return np.array([at[name] for name in wanted], np.int64)
