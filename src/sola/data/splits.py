"""Subsets of videos, for annotations that have none."""

from pathlib import Path
from typing import TypeAlias

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.annotation_formats.base import Videos
from sola.data.numbers import is_number

Split: TypeAlias = float | Path
"""Share of the videos that are for training, or a file with a video and its subset on each line."""
TRAINING, VALIDATION, UNLABELED = "training", "validation", "unlabeled"
SEED = 0


def split_of(text: str) -> Split:
    """Return a share, or the file of that name.

    >>> split_of("0.8"), split_of("subsets.csv")
    (0.8, PosixPath('subsets.csv'))
    """
    return float(text) if is_number(text) else Path(text)


def assign_subsets(videos: Videos, split: Split | None, path: Path) -> None:
    """Set the subset of videos of which their file says none.

    A share of the annotated videos, drawn with a fixed seed, is for training and the others for validation; without a
    share all are for training. Videos that are not annotated are unlabeled. A list decides for the videos that it
    names, whatever their file says.

    Raises SolaError for a share that leaves one of both without a video, or a list that is malformed or names a video
    that is not there.
    """
    if isinstance(split, Path):
        _assign_list(videos, split)
    without = sorted(video for video, record in videos.items() if record.subset is None)
    labeled = [video for video in without if videos[video].annotated]
    chosen = set(labeled)
    if isinstance(split, float) and labeled:
        if not 0 < split < 1:
            raise SolaError(f"split={split:g}: expected a share between 0 and 1, such as 0.8, or a file")
        count = round(split * len(labeled))
        if not 0 < count < len(labeled):
            raise SolaError(
                f"{path}: split={split:g} of {len(labeled)} annotated videos leaves none for "
                f"{VALIDATION if count else TRAINING}; annotate more, or name the subset of each video in a file"
            )
        order = np.random.default_rng(SEED).permutation(len(labeled))
        chosen = {labeled[position] for position in order[:count]}
    for video in without:
        subset = TRAINING if video in chosen else VALIDATION
        videos[video].subset = subset if videos[video].annotated else UNLABELED


def _assign_list(videos: Videos, path: Path) -> None:
    try:
        lines = decoded(path.read_bytes()).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SolaError(f"{path}: cannot be read as a list of videos and subsets ({error})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.replace(",", "\t").replace(";", "\t")
        video, _, subset = cells.rpartition("\t" if "\t" in cells else " ")
        video, subset = video.strip(), subset.strip()
        if not video or not subset:
            raise SolaError(
                f"{path}: line {number}: {line[:60]!r}; expected a video and its subset, such as: cam_1, validation"
            )
        if video not in videos:
            raise SolaError(f"{path}: line {number}: video {video!r} is not in the annotations; remove the line")
        videos[video].subset = subset
