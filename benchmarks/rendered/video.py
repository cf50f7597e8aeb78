"""A video as a function of time: the frame at a given time does not depend on the frame rate."""

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from rendered.camera import Camera
from rendered.choreography import Choreography
from rendered.distractors import Flicker, Thing, bystander
from rendered.drawing import DrawnFigure
from rendered.scene import Room
from rendered.style import Person, viewpoint
from rendered.timeline import Piece

Picture = UInt8[np.ndarray, "height width 3"]
LEVELS = (0, 1, 2)
"""0: a plain room; 1: a random room; 2: also a moving camera, drifting objects, a bystander and flickering light."""
NOISE = (2.0, 4.0, 6.0)
"""Standard deviation of image noise by level, on a scale of 255."""
CHUNK = 32
"""Number of frames computed at once, to limit memory."""


class Video:
    """A video of a figure in a room. All random choices are made on construction."""

    def __init__(
        self, pieces: tuple[Piece, ...], who: Person, split: str, level: int, generator: np.random.Generator
    ) -> None:
        """Sample performances, viewpoint, room and distractors of a video in which `who` performs `pieces`."""
        # separate random streams, so that performances do not depend on the level
        acting, filming, building, distracting, grain = generator.spawn(5)
        self._choreography = Choreography(pieces, who.body, acting, left_handed=who.left_handed)
        azimuth, height = viewpoint(split, filming)
        self._camera = Camera(azimuth, height, level == 2, filming)
        self._room = Room(level == 0, azimuth, building)
        self._moving, self._who = level == 2, who
        self.duration = pieces[-1].end
        """Duration (seconds)."""
        self._things: list[Thing] = []
        if self._moving:
            self._things = [Thing(azimuth, distracting) for _ in range(int(distracting.integers(2, 6)))]
            self._bystander = bystander(split, azimuth, self.duration, distracting)
            self._flicker = Flicker(self.duration, distracting)
        deviation = NOISE[level] * grain.uniform(0.6, 1.4)
        self._grain = np.clip(deviation * grain.standard_normal(1 << 18, np.float32), -40, 40).astype(np.int8)

    def frames(self, seconds: Float[np.ndarray, " frames"], size: tuple[int, int] = (128, 128)) -> Iterator[Picture]:
        """Yield the frames (RGB) at times in seconds; `size` is (height, width)."""
        backdrop = None
        if not self._moving:
            backdrop = next(self._room.pictures(self._camera.at(np.zeros(1)), size))
        for start in range(0, len(seconds), CHUNK):
            yield from self._chunk(seconds[start : start + CHUNK], size, backdrop)

    def _chunk(
        self,
        seconds: Float[np.ndarray, " frames"],
        size: tuple[int, int],
        backdrop: Picture | None,
    ) -> Iterator[Picture]:
        views = self._camera.at(seconds)
        light = self._room.light
        figures = [DrawnFigure(self._who, self._choreography.joints(seconds), views, light, size)]
        brightness = np.full(len(seconds), self._room.exposure)
        if self._moving:
            other, walking, place = self._bystander
            figures.append(DrawnFigure(other, walking.joints(seconds) + place, views, light, size))
            brightness = brightness * self._flicker(seconds)
        things = [(thing, *thing.seen(seconds, views, size)) for thing in self._things]
        rooms = self._room.pictures(views, size) if backdrop is None else (backdrop.copy() for _ in seconds)
        for frame, picture in enumerate(rooms):
            for figure in figures:
                figure.shade(picture, frame, self._room.shadow)
            layers: list[tuple[float, Callable[[Picture], None]]] = [
                (float(figure.depth[frame]), partial(figure.draw, frame=frame)) for figure in figures
            ]
            layers += [
                (float(depth[frame]), partial(thing.draw, outlines=outlines[frame]))
                for thing, outlines, depth in things
            ]
            for _, put in sorted(layers, key=lambda layer: -layer[0]):
                put(picture)
            cv2.convertScaleAbs(picture, picture, alpha=float(brightness[frame]))
            yield self._grainy(picture, float(seconds[frame]))

    def _grainy(self, picture: Picture, second: float) -> Picture:
        """Convert from BGR to RGB and add the noise of this time."""
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        # a slice of the stored noise, at an offset that depends on the time in milliseconds
        begin = round(second * 1000) * 2654435761 % max(1, len(self._grain) - picture.size)
        grain = np.resize(self._grain[begin : begin + picture.size], picture.shape)
        return cv2.add(picture, grain, dtype=cv2.CV_8U)
