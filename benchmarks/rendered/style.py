"""Persons and viewpoints, sampled so that no two splits share a body, clothes, a tempo or a viewpoint."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rendered.skeleton import Body

SPLITS = ("training", "validation", "testing", "unlabeled", "trimmed")
"""The four subsets of a data set, and the trimmed clips for training the encoder."""
CELLS = 15
"""Rows and columns of the Latin squares; a multiple of the number of splits, so that all splits have equal shares."""
FACING = 110.0
"""Maximum angle (degrees) between the camera direction and the figure's usual heading."""


@dataclass(frozen=True)
class Colors:
    """Colors of a person (BGR, 0 to 255)."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    shirt: tuple[float, float, float]
    trousers: tuple[float, float, float]
    shoes: tuple[float, float, float]
    long_sleeves: bool
    long_trousers: bool


@dataclass(frozen=True)
class Person:
    """Body, clothes and handedness of a person."""

    body: Body
    colors: Colors
    left_handed: bool


def square(split: str, generator: np.random.Generator) -> tuple[float, float]:
    """Sample two values in [0, 1) from the cells of a Latin square that belong to a split.

    Every row and column has cells of every split. So each single value covers its whole range in all splits, but no
    pair of values can occur in two splits.
    """
    row = int(generator.integers(CELLS))
    column = len(SPLITS) * int(generator.integers(CELLS // len(SPLITS)))
    column += (SPLITS.index(split) + 2 * row) % len(SPLITS)
    return float((row + generator.random()) / CELLS), float((column + generator.random()) / CELLS)


def tempos(split: str, generator: np.random.Generator, count: int = 4) -> list[float]:
    """Sample tempos for a video's performances, from 0.75 to 1.35; each split has every fifth of 15 narrow ranges."""
    cells = len(SPLITS) * generator.integers(CELLS // len(SPLITS), size=count) + SPLITS.index(split)
    return np.exp(np.interp((cells + generator.random(count)) / CELLS, [0, 1], np.log([0.75, 1.35]))).tolist()


def viewpoint(split: str, generator: np.random.Generator) -> tuple[float, float]:
    """Sample the azimuth (radians, 0 in the figure's usual heading) and height (meters) of a camera."""
    azimuth, height = square(split, generator)
    return float(np.radians(FACING * (2 * azimuth - 1))), 0.7 + 1.7 * height


def person(split: str, generator: np.random.Generator) -> Person:
    """Sample a person of a split."""
    stature, girth = square(split, generator)
    shirt, trousers = square(split, generator)
    body = Body(
        stature=1.55 + 0.35 * stature,
        legs=float(generator.uniform(0.465, 0.51)),
        shoulders=float(generator.uniform(0.205, 0.25)),
        hips=float(generator.uniform(0.1, 0.125)),
        girth=0.8 + 0.55 * girth,
        head=float(generator.uniform(0.062, 0.075)),
    )
    tone = generator.uniform(0.35, 1.0)
    colors = Colors(
        skin=(150 * tone, 180 * tone, 235 * tone),
        hair=_color(generator.uniform(0.03, 0.13), 0.6, generator.uniform(0.1, 0.75)),
        shirt=_color(shirt, generator.uniform(0.15, 0.9), generator.uniform(0.35, 0.95)),
        trousers=_color(trousers, generator.uniform(0.1, 0.7), generator.uniform(0.15, 0.75)),
        shoes=_color(generator.random(), 0.3, generator.uniform(0.1, 0.9)),
        long_sleeves=bool(generator.random() < 0.5),
        long_trousers=bool(generator.random() < 0.7),
    )
    return Person(body, colors, left_handed=bool(generator.random() < 0.2))


def _color(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Convert hue, saturation and value from 0 to 1 to BGR from 0 to 255."""
    channel = np.abs((hue + np.array([1 / 3, 2 / 3, 0.0])) % 1.0 * 6 - 3) - 1
    shades: Float[np.ndarray, " 3"] = 255 * value * (1 - saturation * (1 - np.clip(channel, 0, 1)))
    return float(shades[0]), float(shades[1]), float(shades[2])
