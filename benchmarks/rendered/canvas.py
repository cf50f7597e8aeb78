"""Filling of convex shapes with sub-pixel precision, in OpenCV's fixed-point coordinates."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

SHIFT = 4
"""Number of fractional bits of coordinates."""
CIRCLE = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)
"""Twelve points of the unit circle, which are enough for small images."""
LIMIT = 4096.0
"""Maximum coordinate (pixels), to avoid overflow of fixed-point numbers."""
Color = tuple[float, float, float]

cv2.setNumThreads(1)  # the images are small, and one thread is deterministic


def pixels(
    seen: Float[np.ndarray, "*batch 2"], size: tuple[int, int], scale: float = 1.0
) -> Int[np.ndarray, "*batch 2"]:
    """Convert positions in units of the image height to fixed-point pixels; `size` is (height, width)."""
    height, width = size
    middle = np.array([width / 2 - 0.5, height / 2 - 0.5])
    places = (seen * height + middle + 0.5) * scale - 0.5
    return np.rint(np.clip(places, -LIMIT, LIMIT) * (1 << SHIFT)).astype(np.int32)


def fill(picture: UInt8[np.ndarray, "height width *channels"], points: Int[np.ndarray, "n 2"], color: Color) -> None:
    """Fill a convex polygon with anti-aliased edges, given fixed-point corners."""
    cv2.fillConvexPoly(picture, points, color, cv2.LINE_AA, SHIFT)


def fill_hull(
    picture: UInt8[np.ndarray, "height width *channels"], points: Int[np.ndarray, "n 2"], color: Color
) -> None:
    """Fill the convex hull of fixed-point points with anti-aliased edges."""
    fill(picture, cv2.convexHull(points), color)


def to_pixels(size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
    """Return the matrix from positions in units of the image height to pixels; `size` is (height, width)."""
    height, width = size
    return np.array([[height, 0, width / 2 - 0.5], [0, height, height / 2 - 0.5], [0, 0, 1.0]])
