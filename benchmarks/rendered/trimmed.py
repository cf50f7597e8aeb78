"""Trimmed clips of single performances, for training the encoder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from rendered.actions import ACTIONS
from rendered.style import SPLITS, Person, person, tempos
from rendered.timeline import Piece
from rendered.video import LEVELS, Video

CLASSES = tuple(ACTIONS)
"""Class names; a clip's label is an index into this list."""
KNOWN = CLASSES[::2]
"""Training classes of the clip network: every second class, since real encoders have not seen all actions."""
KNOWN_LEVELS = LEVELS[:2]
"""Training levels of the clip network, without moving camera and distractors."""


@dataclass(frozen=True)
class Clip:
    """A clip that shows only the action."""

    label: int
    level: int
    tempo: float
    who: Person
    seed: tuple[int, ...]

    @property
    def what(self) -> str:
        """Class name."""
        return CLASSES[self.label]

    def frames(
        self, count: int = 16, rate: float = 8.0, size: tuple[int, int] = (128, 128)
    ) -> UInt8[np.ndarray, "frames height width 3"]:
        """Render `count` frames at `rate` frames per second, from a random time in a longer performance."""
        generator = np.random.default_rng(self.seed)
        begin = generator.uniform(0, ACTIONS[self.what].period / self.tempo)
        length = begin + count / rate
        video = Video((Piece(0.0, length, self.what, self.tempo),), self.who, "trimmed", self.level, generator)
        return np.stack(list(video.frames(begin + np.arange(count) / rate, size)))


def known(clips: Iterable[Clip], levels: tuple[int, ...] = KNOWN_LEVELS) -> list[Clip]:
    """Return the clips of training classes at the given levels."""
    return [clip for clip in clips if clip.what in KNOWN and clip.level in levels]


def clips(count: int, seed: int = 0, levels: tuple[int, ...] = LEVELS) -> Iterator[Clip]:
    """Yield random clips, cycling through classes and levels. A larger count only appends clips.

    People, tempos, viewpoints and scenes are from the split `trimmed`, which is disjoint from all data sets.
    """
    for index in range(count):
        stream = (seed, 0, SPLITS.index("trimmed"), index)
        generator = np.random.default_rng(stream)
        yield Clip(
            label=index % len(CLASSES),
            level=levels[index // len(CLASSES) % len(levels)],
            tempo=tempos("trimmed", generator, 1)[0],
            who=person("trimmed", generator),
            seed=(*stream, 1),
        )
