"""Drawing of a figure: shaded limbs in order of depth, and a soft shadow on the floor."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from rendered.camera import Views
from rendered.canvas import CIRCLE, Color, fill, fill_hull, pixels
from rendered.skeleton import JOINT, SIDES
from rendered.style import Colors, Person

PARTS: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    ("trousers", (("left_hip", 0.05), ("right_hip", 0.05), ("waist", 0.062))),
    ("shirt", (("waist", 0.064), ("left_shoulder", 0.042), ("right_shoulder", 0.042), ("neck", 0.034))),
    ("skin", (("neck", 0.03), ("head", 0.032))),
    ("skin", (("head", 0.068),)),
    ("hair", (("hair", 0.067),)),
    ("skin", (("nose", 0.013),)),
    *(
        part
        for side in SIDES
        for part in (
            ("shirt", ((f"{side}_shoulder", 0.037), (f"{side}_elbow", 0.028))),
            ("sleeve", ((f"{side}_elbow", 0.027), (f"{side}_wrist", 0.02))),
            ("skin", ((f"{side}_wrist", 0.019), (f"{side}_hand", 0.021))),
            ("trousers", ((f"{side}_hip", 0.052), (f"{side}_knee", 0.038))),
            ("trouser_leg", ((f"{side}_knee", 0.037), (f"{side}_ankle", 0.025))),
            ("shoes", ((f"{side}_ankle", 0.026), (f"{side}_toe", 0.02))),
        )
    ),
)
"""Body parts: a material, and the balls whose convex hull is filled; radii are fractions of the stature."""
BALLS = 4
"""Maximum number of balls per part; parts with fewer repeat the last."""
BANDS = ((1.0, 0.0, 0.62), (0.8, 0.17, 0.92), (0.45, 0.4, 1.12))
"""Shading from the edge inwards: fraction of the radius, shift toward the light (radii), brightness."""
_JOINTS = np.array([[JOINT[balls[min(i, len(balls) - 1)][0]] for i in range(BALLS)] for _, balls in PARTS])
_RADII = np.array([[balls[min(i, len(balls) - 1)][1] for i in range(BALLS)] for _, balls in PARTS])
_ROUND = [len(balls) == 1 for _, balls in PARTS]
_SHADED = [index for index, (_, balls) in enumerate(PARTS) if max(radius for _, radius in balls) > 0.027]
"""Parts large enough to cast a visible shadow."""
_HEAD = np.array([balls[0][0] in ("head", "hair", "nose") for _, balls in PARTS])


class DrawnFigure:
    """Outlines of one person in several frames, ready to fill."""

    def __init__(
        self,
        person: Person,
        joints: Float[np.ndarray, "frames joints 3"],
        views: Views,
        light: Float[np.ndarray, " 3"],
        size: tuple[int, int],
    ) -> None:
        """Compute the outlines; `light` points toward the light, `size` is (height, width) in pixels."""
        body = person.body
        self._size = size
        balls = joints[:, _JOINTS]
        girth = np.where(_HEAD, body.head / 0.068, body.girth)
        radii = body.stature * girth[:, None] * _RADII
        frames, parts = len(joints), len(PARTS)
        seen, depth = views.see(balls.reshape(frames, -1, 3))
        seen = seen.reshape(frames, parts, BALLS, 2)
        depth = depth.reshape(frames, parts, BALLS)
        apparent = views.focal[:, None, None] * radii / depth
        # direction toward the light in the image
        aside = (views.axes[:, :2] @ light)[:, None, None]
        outlines = []
        for share, shift, _ in BANDS:
            middle = seen + shift * apparent[..., None] * aside
            outlines.append(middle[..., None, :] + share * apparent[..., None, None] * CIRCLE)
        self._outlines = pixels(np.stack(outlines, axis=2), size).reshape(frames, parts, len(BANDS), -1, 2)
        # the head is drawn over the neck
        self._order = np.argsort(-depth.mean(axis=2) + np.where(_HEAD, 0.02, 0.0), axis=1, kind="stable")
        self._colors = [_shades(person.colors, material) for material, _ in PARTS]
        self._shadow = _shadow(balls[:, _SHADED], radii[_SHADED], views, light, size)
        self.depth = depth.mean(axis=(1, 2))
        """Mean distance from the camera by frame (meters)."""

    def draw(self, picture: UInt8[np.ndarray, "height width 3"], frame: int) -> None:
        """Draw the figure in one frame."""
        for part in self._order[frame].tolist():
            outlines = self._outlines[frame, part]
            for outline, color in zip(outlines, self._colors[part], strict=True):
                if _ROUND[part]:
                    fill(picture, outline[: len(CIRCLE)], color)
                else:
                    fill_hull(picture, outline, color)

    def shade(self, picture: UInt8[np.ndarray, "height width 3"], frame: int, strength: float) -> None:
        """Darken the floor in the shadow of the figure in one frame."""
        height, width = self._size
        mask = np.full(((height + 1) // 2, (width + 1) // 2), 255, np.uint8)
        for outline in self._shadow[frame]:
            fill_hull(mask, outline, (255 * (1 - strength),) * 3)
        mask = cv2.resize(cv2.blur(mask, (5, 5)), (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(picture, cv2.merge([mask] * 3), picture, 1 / 255)


def _shadow(
    balls: Float[np.ndarray, "frames parts balls 3"],
    radii: Float[np.ndarray, "parts balls"],
    views: Views,
    light: Float[np.ndarray, " 3"],
    size: tuple[int, int],
) -> Int[np.ndarray, "frames parts points 2"]:
    """Return the outlines of the shadow, in fixed-point pixels of an image of half the size."""
    frames, parts = balls.shape[:2]
    fallen = balls - balls[..., 2:] / light[2] * light
    disc = np.concatenate([CIRCLE[::2], np.zeros((6, 1))], axis=1)
    edges = fallen[:, :, :, None] + radii[..., None, None] * disc
    seen, _ = views.see(edges.reshape(frames, -1, 3))
    return pixels(seen, size, 0.5).reshape(frames, parts, -1, 2)


def _shades(colors: Colors, material: str) -> list[Color]:
    if material == "sleeve":
        material = "shirt" if colors.long_sleeves else "skin"
    elif material == "trouser_leg":
        material = "trousers" if colors.long_trousers else "skin"
    blue, green, red = getattr(colors, material)
    return [(blue * bright, green * bright, red * bright) for _, _, bright in BANDS]
