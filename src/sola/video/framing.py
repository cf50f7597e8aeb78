"""Convert decoded frames to encoder input."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import UInt8

from sola.core.errors import SolaError
from sola.video.errors import BadVideo

if TYPE_CHECKING:
    from av import VideoFrame

Interpolation = Literal["bilinear", "bicubic", "area", "lanczos"]

LARGEST_ASPECT_RATIO = 64
"""Largest aspect ratio. A larger one means a damaged header, and scaling the frame would take gigabytes."""


@dataclass(frozen=True)
class Framing:
    """Scaling and cropping of decoded frames to upright RGB.

    Raises SolaError if a size is not positive or the crop is larger than the frame.
    """

    height: int
    """Output height (pixels)."""
    width: int
    """Output width (pixels)."""
    short_side: int | None = None
    """Length of the shorter side before the center crop (pixels), or None to resize without a crop."""
    interpolation: Interpolation = "bicubic"
    """Interpolation method."""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise SolaError(f"a frame of {self.height}×{self.width} pixels; expected at least 1×1")
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise SolaError(
                f"a crop of {self.height}×{self.width} pixels does not fit in a frame with a shorter side of "
                f"{self.short_side} pixels"
            )

    def __call__(self, frame: "VideoFrame") -> UInt8[np.ndarray, "{self.height} {self.width} 3"]:
        """Return the upright, scaled and cropped frame. Raises BadVideo if it cannot be converted."""
        if max(frame.height, frame.width) > LARGEST_ASPECT_RATIO * min(frame.height, frame.width):
            raise BadVideo(
                f"a frame of {frame.height}×{frame.width} pixels; expected an aspect ratio of at most "
                f"{LARGEST_ASPECT_RATIO}"
            )
        quarter_turns = turns(frame)
        height, width = self._scaled(
            *((frame.height, frame.width) if quarter_turns % 2 == 0 else (frame.width, frame.height))
        )
        top, left = (height - self.height) // 2, (width - self.width) // 2
        stored_size = (width, height) if quarter_turns % 2 else (height, width)
        scaled = np.rot90(self._rgb(frame, *stored_size), quarter_turns)
        return np.ascontiguousarray(scaled[top : top + self.height, left : left + self.width])

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width before the crop."""
        if self.short_side is None:
            return self.height, self.width
        scale = self.short_side / min(height, width)
        return max(round(height * scale), self.short_side), max(round(width * scale), self.short_side)

    def _rgb(self, frame: "VideoFrame", height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
        """Return the whole frame resized, in the orientation stored in the file."""
        from av import FFmpegError

        try:
            return frame.to_ndarray(
                format="rgb24", height=height, width=width, interpolation=self.interpolation.upper()
            )
        except (FFmpegError, ValueError) as error:
            raise BadVideo(f"a frame of format {frame.format.name} cannot be converted ({error})") from None


def turns(frame: "VideoFrame") -> int:
    """Return the number of counterclockwise quarter turns that make a frame upright."""
    return round(frame.rotation / 90) % 4
