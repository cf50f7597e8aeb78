"""Distractors in the hardest scenes: drifting objects, a second figure that performs no actions, flickering light."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from rendered.camera import Views
from rendered.canvas import CIRCLE, fill, pixels
from rendered.choreography import Choreography
from rendered.curves import Noise
from rendered.style import Person, person, tempos
from rendered.timeline import BACKGROUND, Piece


class Thing:
    """A ball or box that drifts in front of or behind the figure."""

    def __init__(self, azimuth: float, generator: np.random.Generator) -> None:
        """Sample an object for a room filmed from an azimuth (radians)."""
        sight = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        across = np.array([-sight[1], sight[0], 0.0])
        self._middle = generator.uniform(-1.3, 0.9) * sight + generator.uniform(-1.2, 1.2) * across
        self._middle[2] = generator.uniform(0.2, 1.9)
        self._noise = Noise(4, 0.02, 0.2, generator)
        self._reach = generator.uniform([0.2, 0.2, 0.05, 0.0], [0.5, 0.5, 0.3, 2.0])
        self._radius = generator.uniform(0.05, 0.17)
        self._shape = CIRCLE if generator.random() < 0.5 else CIRCLE[[1, 4, 7, 10]] * generator.uniform(0.6, 1.2, 2)
        self._color = tuple(generator.uniform(10, 245, 3).tolist())

    def seen(
        self, seconds: Float[np.ndarray, " frames"], views: Views, size: tuple[int, int]
    ) -> tuple[Int[np.ndarray, "frames 2 points 2"], Float[np.ndarray, " frames"]]:
        """Return the outlines of shaded edge and lit center (fixed-point pixels) and the depth (meters) by frame."""
        drift = self._reach * self._noise(seconds)
        middle, depth = views.see((self._middle + drift[:, :3])[:, None])
        cosine, sine = np.cos(drift[:, 3:]), np.sin(drift[:, 3:])
        turned = np.stack([cosine * self._shape[:, 0] - sine * self._shape[:, 1],
                           sine * self._shape[:, 0] + cosine * self._shape[:, 1]], axis=-1)  # fmt: skip
        edge = views.focal[:, None, None] * self._radius / depth[..., None] * turned
        outlines = np.stack([middle + edge, middle + 0.75 * edge - np.array([0.0, 0.004])], axis=1)
        return pixels(outlines, size), depth[:, 0]

    def draw(self, picture: UInt8[np.ndarray, "height width 3"], outlines: Int[np.ndarray, "2 points 2"]) -> None:
        """Draw the object at its outlines."""
        blue, green, red = self._color
        fill(picture, outlines[0], (blue * 0.7, green * 0.7, red * 0.7))
        fill(picture, outlines[1], self._color)


def bystander(
    split: str, azimuth: float, duration: float, generator: np.random.Generator
) -> tuple[Person, Choreography, Float[np.ndarray, " 3"]]:
    """Sample a person who stands and walks in the background, and the position on the floor (meters)."""
    pieces = []
    clock, paces = 0.0, tempos(split, generator)
    while clock < duration:
        end = clock + generator.uniform(3.0, 12.0)
        pieces.append(Piece(clock, end, str(generator.choice(BACKGROUND)), float(generator.choice(paces))))
        clock = end
    who = person(split, generator)
    choreography = Choreography(pieces, who.body, generator, room=0.6, facing=generator.uniform(0, 2 * np.pi))
    sight, side = np.array([np.cos(azimuth), np.sin(azimuth), 0.0]), generator.choice([-1.0, 1.0])
    place = -generator.uniform(2.0, 2.6) * sight + side * generator.uniform(0.5, 1.7) * np.array(
        [-sight[1], sight[0], 0]
    )
    return who, choreography, place


class Flicker:
    """Brightness of the light over time: it drifts, with occasional short drops."""

    def __init__(self, duration: float, generator: np.random.Generator) -> None:
        self._slow, self._fast = Noise(1, 0.03, 0.3, generator), Noise(1, 1.0, 6.0, generator)
        self._drops = np.sort(generator.uniform(0, duration, generator.poisson(duration / 15)))
        self._depth = generator.uniform(0.05, 0.25)

    def __call__(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
        """Return the brightness factor at times in seconds."""
        since = seconds[:, None] - self._drops
        dropped = (np.exp(-np.abs(since) / 0.15)).sum(axis=1)
        return 1 + 0.06 * self._slow(seconds)[:, 0] + 0.015 * self._fast(seconds)[:, 0] - self._depth * dropped
