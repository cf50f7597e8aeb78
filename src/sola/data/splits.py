"""Assign subsets to videos, for annotations without subsets."""

from pathlib import Path
from typing import TypeAlias

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import decoded
from sola.data.annotation_formats.base import Videos
from sola.data.numbers import is_number

Split: TypeAlias = float | Path
"""Fraction of the videos for training, or a file with one video and its subset per line."""
TRAINING, VALIDATION, UNLABELED = "training", "validation", "unlabeled"
SEED = 0


def split_of(text: str) -> Split:
    """Return the fraction or the path in a text.

    >>> split_of("0.8"), split_of("subsets.csv")
    (0.8, PosixPath('subsets.csv'))
    """
    return float(text) if is_number(text) else Path(text)


def assign_subsets(videos: Videos, split: Split | None, path: Path) -> None:
    """Set the subset of videos without one.

    A fraction assigns that part of the annotated videos to training, drawn with a fixed seed, and the others to
    validation. Without a fraction, all annotated videos are for training. Videos without annotations are unlabeled. A
    list overrides the subsets of the videos in it.

    Raises SolaError for a fraction that leaves training or validation empty, and for a list that is malformed or names
    an unknown video.
    """
    if isinstance(split, Path):
        _assign_list(videos, split)
    without = sorted(video for video, record in videos.items() if record.subset is None)
    labeled = [video for video in without if videos[video].annotated]
    chosen = set(labeled)
    if isinstance(split, float) and labeled:
        if not 0 < split < 1:
            raise SolaError(f"split={split:g}: expected a fraction between 0 and 1, such as 0.8, or a file")
        count = round(split * len(labeled))
        if not 0 < count < len(labeled):
            raise SolaError(
                f"{path}: split={split:g} of {len(labeled)} annotated videos leaves none for "
                f"{VALIDATION if count else TRAINING}; annotate more videos, or list the subset of each video in a file"
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
