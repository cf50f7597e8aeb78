"""Video-level class scores from published files of external classifiers."""

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
"""Prefix of video ids in some ActivityNet files."""


@dataclass(frozen=True, eq=False)
class VideoScores:
    """Class scores, one row per video."""

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Float[np.ndarray, "videos classes"]

    def of(self, video: str) -> Float[np.ndarray, " classes"]:
        """Return the class scores of a video. Raises SolaError if it has none."""
        if video not in self.videos:
            raise SolaError(f"video {video!r}: no class scores; include it when you read the classifier file")
        row: np.ndarray = self.scores[self.videos.index(video)]
        return row


def thumos14_layout(videos: int = 1574) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the video ids and class names of UntrimmedNet's `uNet_test.npy`, as indexed by G-TAD and OpenTAD.

    Row i is test video i+1 and column j is class j+1 of UCF-101. Classes without THUMOS14 annotations are numbers.
    """
    rows = tuple(f"video_test_{number:07d}" for number in range(1, videos + 1))
    return rows, tuple(NUMBERS.get(number, str(number)) for number in range(1, 102))


def read_classifier(
    path: Path,
    videos: Sequence[str],
    classes: Sequence[str],
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> VideoScores:
    """Read the class scores of `videos`, with columns ordered as in `classes`, from a published file.

    The file is one of:

    - `{"results": {video: [score, …]}, "class": [name, …]}`, as published by CUHK for ActivityNet. The key may also be
      "classes", and a row may be nested in a list, as in TCANet's file for HACS.
    - `{"results": {video: [{"label", "score"}, …]}}`, where missing classes have score 0.
    - A `.npy` array [videos, classes].

    Video ids in JSON may have or lack ActivityNet's `v_` prefix.

    Args:
        path: the file.
        videos: video ids, the rows of the result.
        classes: class names, the columns of the result.
        rows: video ids of the rows of an array; by default those of UntrimmedNet's `uNet_test.npy` for THUMOS14.
        columns: class names of the columns of an array, or of JSON without names (by default `classes`).

    Raises:
        SolaError: if a video or class is missing, a size is wrong, or a score is negative or not finite.
    """
    if path.suffix == ".npy":
        row_names, names = thumos14_layout()
        names = names if columns is None else tuple(columns)
        table = _array_rows(path, videos, row_names if rows is None else tuple(rows), names)
    else:
        names, table = _json_rows(path, videos, classes if columns is None else columns)
    for bad, problem in ((~np.isfinite(table), "a score that is not finite"), (table < 0, "a negative score")):
        if bad.any():
            video = videos[int(bad.any(1).argmax())]
            raise SolaError(f"{path}: video {video!r} has {problem}; expected finite scores of at least 0")
    return VideoScores(tuple(videos), tuple(classes), table[:, _positions(path, "class", names, classes)])


def _array_rows(
    path: Path, videos: Sequence[str], rows: tuple[str, ...], columns: tuple[str, ...]
) -> Float[np.ndarray, "videos columns"]:
    try:
        # with mmap_mode, a header that claims more data than the file has fails before memory is allocated
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise SolaError(f"{path}: no such file; expected class scores as .npy") from None
    except (OSError, ValueError, EOFError) as error:
        raise SolaError(f"{path}: cannot be read as a .npy array of numbers ({error})") from None
    if not isinstance(values, np.ndarray):
        raise SolaError(f"{path}: an archive of arrays; expected one .npy array of class scores")
    if values.shape != (len(rows), len(columns)) or values.dtype.kind not in "fiu":
        raise SolaError(
            f"{path}: {values.dtype} of shape {values.shape}; expected numbers of shape ({len(rows)}, {len(columns)}), "
            "one row per video and one column per class; pass rows= and columns= for another layout"
        )
    table: np.ndarray = values[_positions(path, "video", rows, videos)].astype(np.float64)
    return table


def _json_rows(
    path: Path, videos: Sequence[str], columns: Sequence[str]
) -> tuple[tuple[str, ...], Float[np.ndarray, "videos columns"]]:
    """Return the class names of the columns, and the score table [videos, columns]."""
    content = read_json(path, "class scores")
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise SolaError(f'{path}: no object "results"; expected {{"results": {{video: scores}}}}')
    names = content.get("class", content.get("classes", list(columns)))
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise SolaError(f'{path}: "class" is not a list of names; expected one name per column')
    at = {name: position for position, name in enumerate(names)}
    table = np.zeros((len(videos), len(names)))
    for row, video in zip(table, videos, strict=True):
        key = next((key for key in (video, PREFIX + video, video.removeprefix(PREFIX)) if key in results), None)
        if key is None:
            raise SolaError(f"{path}: no video {video!r} in its results; expected every requested video")
        value = results[key]
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]
        if not isinstance(value, list):
            raise SolaError(f"{path}: video {video!r} has no list of scores")
        if value and isinstance(value[0], dict):
            _fill(path, video, row, value, at)
            continue
        if len(value) != len(names):
            raise SolaError(f"{path}: video {video!r} has {len(value)} scores; expected {len(names)}, one per class")
        row[:] = [_number(path, video, score) for score in value]
    return tuple(names), table


def _fill(path: Path, video: str, row: Float[np.ndarray, " columns"], value: list[Any], at: dict[str, int]) -> None:
    """Fill a row of zeros from [{"label", "score"}, …]."""
    for entry in value:
        if not (isinstance(entry, dict) and "label" in entry and "score" in entry):
            raise SolaError(f'{path}: video {video!r} has an entry without "label" and "score"')
        if not isinstance(entry["label"], str) or entry["label"] not in at:
            raise SolaError(f"{path}: video {video!r} has the label {entry['label']!r}, which is not a class name")
        row[at[entry["label"]]] = _number(path, video, entry["score"])


def _number(path: Path, video: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SolaError(f"{path}: video {video!r} has the score {value!r}; expected a number")
    try:
        return float(value)
    except OverflowError:  # integer with hundreds of digits
        return math.inf


def _positions(path: Path, what: str, names: Sequence[str], wanted: Sequence[str]) -> Int[np.ndarray, " wanted"]:
    at = {name: position for position, name in enumerate(names)}
    missing = [name for name in wanted if name not in at]
    if missing:
        raise SolaError(f"{path}: no {what} {missing[0]!r} ({len(missing)} missing); expected every requested {what}")
    return np.array([at[name] for name in wanted], np.int64)
