"""Random surroundings of the figure: floor, wall, furniture and light."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rendered.camera import UP, Views
from rendered.canvas import Color, fill, pixels, to_pixels

Texture = UInt8[np.ndarray, "rows columns 3"]
FLOOR = np.array([[-9.0, -9.0], [9.0, 9.0]])
"""Corners of the floor (meters)."""
WALL = np.array([[-12.0, 7.0], [12.0, 0.0]])
"""Corners of the wall (meters along it and upwards); the first is the top left of the texture."""


FACES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]])
"""Corners of the sides and the top of a box."""
BRIGHTNESS = (0.7, 0.85, 0.6, 0.8, 1.1)
"""Relative brightness of each face."""


@dataclass(frozen=True)
class Box:
    """A piece of furniture."""

    corners: Float[np.ndarray, "8 3"]
    """Corners (meters): four on the floor, then the four above them."""
    color: Color

    @property
    def colors(self) -> list[Color]:
        """Color of each face, scaled by its brightness."""
        blue, green, red = self.color
        return [(bright * blue, bright * green, bright * red) for bright in BRIGHTNESS]

    def shown_to(self, centers: Float[np.ndarray, "frames 3"]) -> Bool[np.ndarray, "frames faces"]:
        """Return which faces are visible from each camera position."""
        middles = self.corners[FACES].mean(axis=1)
        outwards = middles - self.corners.mean(axis=0)
        shown: Bool[np.ndarray, "frames faces"] = ((centers[:, None] - middles) * outwards).sum(axis=2) > 0
        return shown


class Room:
    """A room with a floor, a wall behind the figure, boxes and a light."""

    def __init__(self, plain: bool, azimuth: float, generator: np.random.Generator) -> None:
        """Sample a room filmed from an azimuth (radians). A plain room has only uniform colors."""
        behind = azimuth + np.pi + generator.normal(0, 0.0 if plain else 0.2)
        self._along = np.array([np.sin(behind), -np.cos(behind), 0.0])
        self._foot = generator.uniform(3.1, 4.4) * np.array([np.cos(behind), np.sin(behind), 0.0])
        cast = np.exp(generator.normal(0, 0.03 if plain else 0.1, 3))
        self.exposure = 1.0 if plain else float(np.exp(generator.uniform(-0.6, 0.25)))
        """Brightness of the whole image."""
        self._floor = _lit(_texture(plain, 360, generator), cast, plain, generator)
        wall = _texture(plain, 480, generator)
        if not plain:
            _decorate(wall, generator)
        self._wall = _lit(wall, cast, plain, generator)
        self._boxes = [] if plain else self._furniture(azimuth, generator)
        slope, turn = generator.uniform(0.7, 1.2), azimuth + generator.uniform(-1.4, 1.4)
        self.light = np.array([np.cos(turn) * np.cos(slope), np.sin(turn) * np.cos(slope), np.sin(slope)])
        """Unit vector toward the light."""
        self.shadow = float(generator.uniform(0.2, 0.5))
        """Strength of shadows, from 0 to 1."""

    def pictures(self, views: Views, size: tuple[int, int]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Yield the room in each frame (BGR); `size` is (height, width) in pixels."""
        height, width = size
        screen, frames = to_pixels(size), len(views.focal)
        corners = np.concatenate([box.corners for box in self._boxes] or [np.zeros((0, 3))])
        seen, depth = views.see(np.broadcast_to(corners, (frames, *corners.shape)))
        outlines = np.ascontiguousarray(pixels(seen, size).reshape(frames, -1, 8, 2)[:, :, FACES])
        order = np.argsort(-depth.reshape(frames, len(self._boxes), 8).mean(axis=2), axis=1, kind="stable")
        shown = np.stack([box.shown_to(views.center) for box in self._boxes] or [np.zeros((frames, 0))], axis=1)
        for frame in range(frames):
            floor = screen @ views.plane(frame, np.zeros(3), *np.eye(3)[:2]) @ _texels(self._floor, FLOOR)
            wall = screen @ views.plane(frame, self._foot, self._along, UP) @ _texels(self._wall, WALL)
            picture = cv2.warpPerspective(self._floor, floor, (width, height), borderMode=cv2.BORDER_REPLICATE)
            # the wall hides the floor behind it and everything above the floor
            cv2.warpPerspective(self._wall, wall, (width, height), picture, borderMode=cv2.BORDER_TRANSPARENT)
            for index in order[frame].tolist():
                for face in np.flatnonzero(shown[frame, index]).tolist():
                    fill(picture, outlines[frame, index, face], self._boxes[index].colors[face])
            yield picture

    def _furniture(self, azimuth: float, generator: np.random.Generator) -> list[Box]:
        """Place boxes along the wall and the sides, but not between camera and figure."""
        boxes = []
        sight = np.array([np.cos(azimuth), np.sin(azimuth)])
        across = np.array([-sight[1], sight[0]])
        for _ in range(int(generator.integers(3, 11))):
            lengths = generator.uniform([0.25, 0.25, 0.2], [1.1, 0.8, 1.7])
            side = generator.choice([-1, 1]) * generator.uniform(0.15, 2.4)
            far = generator.uniform(0.9, 2.2) if abs(side) < 1.2 else generator.uniform(-0.6, 2.2)
            place = side * across - (far + lengths[1] / 2) * sight
            turn = azimuth + generator.uniform(-0.7, 0.7)
            axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            ground = place + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * lengths[:2] / 2) @ axes
            low = np.concatenate([ground, np.zeros((4, 1))], axis=1)
            color = _any_color(generator, 20, 235)
            boxes.append(Box(np.concatenate([low, low + lengths[2] * UP]), color))
        return boxes


def _any_color(generator: np.random.Generator, low: float, high: float) -> Color:
    blue, green, red = generator.uniform(low, high, 3).tolist()
    return blue, green, red


def _texels(texture: Texture, corners: Float[np.ndarray, "2 2"]) -> Float[np.ndarray, "3 3"]:
    """Return the matrix from texture pixels to meters, given two opposite corners."""
    rows, columns = texture.shape[:2]
    scale = (corners[1] - corners[0]) / np.array([columns, rows])
    return np.array([[scale[0], 0, corners[0, 0]], [0, scale[1], corners[0, 1]], [0, 0, 1.0]])


def _texture(plain: bool, size: int, generator: np.random.Generator) -> Texture:
    """Return a random square texture (3 bytes per pixel): one color, or stripes, tiles, planks or blotches."""
    colors = np.clip(generator.uniform(30, 225) + generator.normal(0, 32, (3, 3)), 5, 250)
    if plain:
        return np.full((size, size, 3), colors[0] * 0.4 + 0.6 * colors[0].mean(), np.uint8)
    rows, columns = np.mgrid[0:size, 0:size]
    step = int(generator.integers(8, 40))
    kind = generator.choice(["stripes", "tiles", "planks", "blotches", "bare"], p=[0.15, 0.2, 0.2, 0.25, 0.2])
    if kind == "stripes":
        mix = (columns // step) % 2 * 1.0
    elif kind == "tiles":
        mix = ((columns % step < 2) | (rows % step < 2)) * 1.0 if generator.random() < 0.5 else (
            (columns // step + rows // step) % 2 * 1.0
        )  # fmt: skip
    elif kind == "planks":
        mix = generator.random(size // step + 2)[rows // step]
    else:
        mix = np.zeros((size, size))
    weak = generator.uniform(0.5, 1.3)
    colors = colors.astype(np.float32)
    image = colors[0] + (weak * mix).astype(np.float32)[..., None] * (colors[1] - colors[0])
    for grain, strength in ((6, 0.7 if kind == "blotches" else 0.15), (40, 0.25), (size, 0.1)):
        noise = generator.random((grain, grain)).astype(np.float32)
        image += (strength * (cv2.resize(noise, (size, size)) - 0.5))[..., None] * (colors[2] - 128)
    return np.clip(image, 0, 255).astype(np.uint8)


def _decorate(wall: Texture, generator: np.random.Generator) -> None:
    """Draw windows, pictures and doors on a wall."""
    size = len(wall)
    for _ in range(int(generator.integers(3, 14))):
        width, height = generator.integers(10, 50), generator.integers(40, 200)
        left, top = generator.integers(0, size - width), generator.integers(100, size - 60)
        color = _any_color(generator, 0, 255)
        cv2.rectangle(wall, (int(left), int(top)), (int(left + width), int(top + height)), color, -1)
        cv2.rectangle(wall, (int(left), int(top)), (int(left + width), int(top + height)), (30, 30, 30), 1)


def _lit(texture: Texture, cast: Float[np.ndarray, " 3"], plain: bool, generator: np.random.Generator) -> Texture:
    """Tint a texture by the light, with a falloff across it."""
    fall = generator.uniform(0.0, 0.15 if plain else 0.5)
    slope = np.linspace(-1, 1, len(texture), dtype=np.float32)
    turn = generator.uniform(0, 2 * np.pi)
    mix = float(np.cos(turn)) * slope + float(np.sin(turn)) * slope[:, None]
    return np.clip(texture * cast.astype(np.float32) * (1 + fall * mix)[..., None], 0, 255).astype(np.uint8)
