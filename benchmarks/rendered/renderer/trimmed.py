"""Trimmed clips of single performances, to train an encoder on that is then frozen."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from rendered.renderer.actions import ACTIONS
from rendered.renderer.style import SPLITS, Person, person, tempos
from rendered.renderer.timeline import Piece
from rendered.renderer.video import LEVELS, Video

CLASSES = tuple(ACTIONS)
"""Names of the classes; a clip's label is a place in this list."""
KNOWN = CLASSES[::2]
"""Classes that the clip network is trained on: every second one, for a frozen encoder has not seen every action."""
KNOWN_LEVELS = LEVELS[:2]
"""Levels it is trained on: a moving camera and distractors are new to it."""


@dataclass(frozen=True)
class Clip:
    """One clip, cut so that it shows nothing but the action."""

    label: int
    level: int
    tempo: float
    who: Person
    seed: tuple[int, ...]

    @property
    def what(self) -> str:
        """Name of the class."""
        return CLASSES[self.label]

    def frames(
        self, count: int = 16, rate: float = 8.0, size: tuple[int, int] = (128, 128)
    ) -> UInt8[np.ndarray, "frames height width 3"]:
        """Draw `count` frames at `rate` frames a second, from somewhere within a longer performance."""
        generator = np.random.default_rng(self.seed)
        begin = generator.uniform(0, ACTIONS[self.what].period / self.tempo)
        length = begin + count / rate
        video = Video((Piece(0.0, length, self.what, self.tempo),), self.who, "trimmed", self.level, generator)
        return np.stack(list(video.frames(begin + np.arange(count) / rate, size)))


def known(clips: Iterable[Clip], levels: tuple[int, ...] = KNOWN_LEVELS) -> list[Clip]:
    """Keep the clips of classes the network is trained on, at some levels."""
    return [clip for clip in clips if clip.what in KNOWN and clip.level in levels]


def clips(count: int, seed: int = 0, levels: tuple[int, ...] = LEVELS) -> Iterator[Clip]:
    """Draw clips, classes and levels in turn; more of them leave the earlier ones as they are.

    People, tempos, viewpoints and scenes are of the split `trimmed`, which shares none with any data set.
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
