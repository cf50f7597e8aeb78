"""Filling convex shapes with sub-pixel precision: the one place that knows OpenCV's fixed-point coordinates."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

SHIFT = 4
"""Fractional bits of coordinates."""
CIRCLE = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)
"""Twelve points of the unit circle: more do not show in a small picture."""
LIMIT = 4096.0
"""Pixels from the picture beyond which a coordinate is cut off, lest the fixed-point number overflow."""
Color = tuple[float, float, float]

cv2.setNumThreads(1)  # the pictures are small, and one thread gives the same bits everywhere


def pixels(
    seen: Float[np.ndarray, "*batch 2"], size: tuple[int, int], scale: float = 1.0
) -> Int[np.ndarray, "*batch 2"]:
    """Return fixed-point pixel coordinates of places in heights of the picture; `size` is (height, width)."""
    height, width = size
    middle = np.array([width / 2 - 0.5, height / 2 - 0.5])
    places = (seen * height + middle + 0.5) * scale - 0.5
    return np.rint(np.clip(places, -LIMIT, LIMIT) * (1 << SHIFT)).astype(np.int32)


def fill(picture: UInt8[np.ndarray, "height width *channels"], points: Int[np.ndarray, "n 2"], color: Color) -> None:
    """Fill a convex polygon of fixed-point corners, with smooth edges."""
    cv2.fillConvexPoly(picture, points, color, cv2.LINE_AA, SHIFT)


def fill_hull(
    picture: UInt8[np.ndarray, "height width *channels"], points: Int[np.ndarray, "n 2"], color: Color
) -> None:
    """Fill the convex hull of fixed-point points in any order, with smooth edges."""
    fill(picture, cv2.convexHull(points), color)


def to_pixels(size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
    """Return the matrix from places in heights of the picture to pixels; `size` is (height, width)."""
    height, width = size
    return np.array([[height, 0, width / 2 - 0.5], [0, height, height / 2 - 0.5], [0, 0, 1.0]])
