"""Data sets: specifications of videos, and annotations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rendered.style import SPLITS, Person, person, tempos
from rendered.timeline import TIMELINES, Piece, draw
from rendered.video import LEVELS, Video
from sola.core.errors import SolaError
from sola.core.files import write_json

PARTS = SPLITS[:4]
"""Subsets of a data set; videos in `unlabeled` have no annotations."""


@dataclass(frozen=True)
class VideoSpec:
    """Specification of a video, sufficient to annotate it without rendering, and to render it."""

    name: str
    split: str
    level: int
    pieces: tuple[Piece, ...]
    who: Person
    seed: tuple[int, ...]
    """Seed of performances, viewpoint and scene."""

    @property
    def duration(self) -> float:
        """Duration (seconds)."""
        return self.pieces[-1].end

    def open(self) -> Video:
        """Return the video, ready to render."""
        return Video(self.pieces, self.who, self.split, self.level, np.random.default_rng(self.seed))


def videos(level: int, timeline: str, counts: Mapping[str, int], seed: int = 0) -> Iterator[VideoSpec]:
    """Yield the videos of a data set, with the given counts by subset. Larger counts only append videos.

    Timelines, people and performances are the same at all levels; only the surroundings differ.

    Raises SolaError for an unknown level, timeline or subset.
    """
    if level not in LEVELS:
        raise SolaError(f"level={level}: expected one of {', '.join(map(str, LEVELS))}")
    if timeline not in TIMELINES:
        raise SolaError(f"timeline={timeline!r}: expected one of {', '.join(TIMELINES)}")
    for split, count in counts.items():
        if split not in PARTS or count < 0:
            raise SolaError(f"{split!r}: {count} videos: expected a number of at least 0 for one of {', '.join(PARTS)}")
        for index in range(count):
            stream = (seed, list(TIMELINES).index(timeline), SPLITS.index(split), index)
            generator = np.random.default_rng(stream)
            paces = tempos(split, generator)
            pieces = draw(TIMELINES[timeline], paces, generator)
            yield VideoSpec(
                name=f"{split}_{index:04d}",
                split=split,
                level=level,
                pieces=pieces,
                who=person(split, generator),
                seed=(*stream, 1),
            )


def write_annotations(specs: Iterable[VideoSpec], path: Path) -> None:
    """Write annotations in ActivityNet format; unlabeled videos have an empty list.

    Raises SolaError if the file cannot be written.
    """
    database = {
        spec.name: {
            "subset": spec.split,
            "duration": spec.duration,
            "annotations": [
                {"segment": [piece.start, piece.end], "label": piece.what}
                for piece in spec.pieces
                if piece.is_action and spec.split != "unlabeled"
            ],
        }
        for spec in specs
    }
    write_json(path, {"version": "rendered figure", "database": database})
