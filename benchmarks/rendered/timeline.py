"""Timelines of videos: two distributions of actions and background."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rendered.actions import ACTIONS

BACKGROUND = ("idle", "walk")


@dataclass(frozen=True)
class Piece:
    """A time interval of a video with a single motion."""

    start: float
    """Seconds from the start of the video."""
    end: float
    """Seconds from the start of the video."""
    what: str
    """A class in `ACTIONS` or a motion in `BACKGROUND`."""
    tempo: float
    """Speed relative to the normal speed of the motion."""

    @property
    def is_action(self) -> bool:
        """True for action instances."""
        return self.what in ACTIONS


@dataclass(frozen=True)
class Timeline:
    """Distribution of actions. Values are sampled uniformly from their ranges."""

    classes: tuple[int, int]
    """Range of the number of classes per video."""
    instances: tuple[int, int]
    """Range of the number of instances per video."""
    length: tuple[float, float]
    """Range of instance lengths (seconds)."""
    background: float
    """Average share of background."""
    duration: tuple[float, float] = (50.0, 90.0)
    """Range of video durations (seconds)."""


TIMELINES = {
    "long": Timeline(classes=(1, 1), instances=(1, 3), length=(8.0, 30.0), background=0.45),
    "short": Timeline(classes=(2, 4), instances=(6, 15), length=(1.5, 6.0), background=0.65),
}
"""`long` is similar to ActivityNet, `short` to THUMOS14."""
SHORTEST_GAP = 1.5
"""Minimum background (seconds) between two instances, before the first and after the last."""


def draw(timeline: Timeline, tempos: "list[float]", generator: np.random.Generator) -> tuple[Piece, ...]:
    """Sample the pieces of one video, without gaps; instances contain whole cycles of their action.

    The tempo of each piece is chosen from `tempos`.
    """
    names = list(ACTIONS)
    chosen = generator.choice(names, generator.integers(*timeline.classes, endpoint=True), replace=False)
    count = int(generator.integers(*timeline.instances, endpoint=True))
    share = np.clip(generator.normal(timeline.background, 0.08), 0.1, 0.9)
    low, high = timeline.duration
    wanted = _lengths(timeline, count, share, generator)
    # cycle through the classes so that each appears, then shuffle
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
    """Sample instance lengths (seconds) whose sum leaves the wanted share of background."""
    shortest, longest = timeline.length
    low, high = timeline.duration
    total = (1 - share) * generator.uniform(low, high)
    total = float(np.clip(total, count * shortest * 1.05, count * longest * 0.95))
    total = min(total, high - SHORTEST_GAP * (count + 1) - 1)
    # moving lengths toward their mean pulls them into the range and preserves the sum
    lengths = np.exp(generator.normal(0, 0.35, count))
    lengths *= total / lengths.sum()
    for _ in range(50):
        lengths = np.clip(lengths, shortest, longest)
        lengths += (total - lengths.sum()) / count
    return np.clip(lengths, shortest, longest).tolist()


def _whole_cycles(period: float, wanted: float, allowed: tuple[float, float]) -> float:
    """Return the length closest to `wanted` with whole cycles, within `allowed` if possible."""
    fewest, most = int(np.ceil(allowed[0] / period - 1e-9)), int(np.floor(allowed[1] / period + 1e-9))
    return period * min(max(round(wanted / period), fewest, 1), max(most, 1))


def _background(start: float, end: float, tempos: "list[float]", generator: np.random.Generator) -> list[Piece]:
    """Fill a gap with alternating standing and walking, each for 2.5 to 12 seconds or the whole gap."""
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
