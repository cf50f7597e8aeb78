"""When a video shows what: two ways of placing actions among background."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rendered.renderer.actions import ACTIONS

BACKGROUND = ("idle", "walk")


@dataclass(frozen=True)
class Piece:
    """One stretch of a video, in which the figure does one thing."""

    start: float
    """Seconds from the start of the video."""
    end: float
    """Seconds from the start of the video."""
    what: str
    """A class of `ACTIONS`, or one of `BACKGROUND`."""
    tempo: float
    """How much faster than usual it is done."""

    @property
    def is_action(self) -> bool:
        """Whether it is an instance to be found."""
        return self.what in ACTIONS


@dataclass(frozen=True)
class Timeline:
    """A way of placing actions; every range is drawn from evenly, the share of the background is kept on average."""

    classes: tuple[int, int]
    """Fewest and most classes a video."""
    instances: tuple[int, int]
    """Fewest and most instances a video."""
    length: tuple[float, float]
    """Shortest and longest instance, in seconds."""
    background: float
    """Share of the time that is background, on average."""
    duration: tuple[float, float] = (50.0, 90.0)
    """Shortest and longest video, in seconds."""


TIMELINES = {
    "long": Timeline(classes=(1, 1), instances=(1, 3), length=(8.0, 30.0), background=0.45),
    "short": Timeline(classes=(2, 4), instances=(6, 15), length=(1.5, 6.0), background=0.65),
}
"""`long` as in ActivityNet, `short` as in THUMOS14."""
SHORTEST_GAP = 1.5
"""Seconds of background between two instances, and before the first and after the last, at least."""


def draw(timeline: Timeline, tempos: "list[float]", generator: np.random.Generator) -> tuple[Piece, ...]:
    """Draw the pieces that tile one video; an instance holds whole cycles of its action.

    `tempos` are what the video's performances may use, one is chosen for each piece.
    """
    names = list(ACTIONS)
    chosen = generator.choice(names, generator.integers(*timeline.classes, endpoint=True), replace=False)
    count = int(generator.integers(*timeline.instances, endpoint=True))
    share = np.clip(generator.normal(timeline.background, 0.08), 0.1, 0.9)
    low, high = timeline.duration
    wanted = _lengths(timeline, count, share, generator)
    # classes in turn, so that each of them appears, then in random order
    order = generator.permutation(np.resize(chosen, count))
    actions = [(str(name), float(generator.choice(tempos))) for name in order]
    lengths = [
        _whole_cycles(ACTIONS[name].period / tempo, length, timeline.length)
        for (name, tempo), length in zip(actions, wanted, strict=True)
    ]
    needed = sum(lengths) + SHORTEST_GAP * (count + 1) + 1.0
    duration = max(float(np.clip(sum(lengths) / (1 - share), low, high)), needed)
    spare = duration - sum(lengths) - SHORTEST_GAP * (count + 1)
    gaps = SHORTEST_GAP + spare * generator.dirichlet(np.full(count + 1, 1.5))
    pieces: list[Piece] = []
    clock = 0.0
    for index, gap in enumerate(gaps.tolist()):
        pieces += _background(clock, clock + gap, tempos, generator)
        clock += gap
        if index < count:
            (name, tempo), length = actions[index], lengths[index]
            pieces.append(Piece(clock, clock + length, name, tempo))
            clock += length
    return tuple(pieces)


def _lengths(timeline: Timeline, count: int, share: float, generator: np.random.Generator) -> list[float]:
    """Draw lengths of instances, in seconds, whose sum leaves the wanted share to background."""
    shortest, longest = timeline.length
    low, high = timeline.duration
    total = (1 - share) * generator.uniform(low, high)
    total = float(np.clip(total, count * shortest * 1.05, count * longest * 0.95))
    total = min(total, high - SHORTEST_GAP * (count + 1) - 1)
    # moving random lengths toward their mean keeps the sum while pulling them into the range
    lengths = np.exp(generator.normal(0, 0.35, count))
    lengths *= total / lengths.sum()
    for _ in range(50):
        lengths = np.clip(lengths, shortest, longest)
        lengths += (total - lengths.sum()) / count
    return np.clip(lengths, shortest, longest).tolist()


def _whole_cycles(period: float, wanted: float, allowed: tuple[float, float]) -> float:
    """Return the length nearest to the wanted one that holds whole cycles, within what is allowed where that can be."""
    fewest, most = int(np.ceil(allowed[0] / period - 1e-9)), int(np.floor(allowed[1] / period + 1e-9))
    return period * min(max(round(wanted / period), fewest, 1), max(most, 1))


def _background(start: float, end: float, tempos: "list[float]", generator: np.random.Generator) -> list[Piece]:
    """Fill a gap with standing about and walking in turn, each for 2.5 to 12 seconds or the whole gap."""
    bounds = [start]
    while end - bounds[-1] > 12.0 or (end - bounds[-1] > 6.0 and generator.random() < 0.6):
        bounds.append(bounds[-1] + float(generator.uniform(2.5, min(9.0, end - bounds[-1] - 2.5))))
    bounds.append(end)
    walks = bool(generator.random() < 0.3)
    pieces = []
    for first, last in pairwise(bounds):
        pieces.append(Piece(first, last, BACKGROUND[walks], float(generator.choice(tempos))))
        walks = not walks and bool(generator.random() < 0.7)
    return pieces
