"""Snippet times: convert between snippet indices, clip units and seconds."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Int

from sola.core.checks import finite, positive
from sola.core.errors import SolaError
from sola.data.segments import Segments

DURATION_TOLERANCE = 0.05
"""Largest relative error of the duration at which the fps of an annotation is used for the features."""

Times = TypeVar("Times", float, np.ndarray)
"""A number or an array, which is converted elementwise."""


@dataclass(frozen=True)
class SnippetGrid:
    """Times of the snippets of a video: snippet i covers `window` frames from frame `offset + i·stride` on.

    Raises:
        SolaError: unless fps, stride and window are positive and the offset is finite.

    Examples:
        >>> import sola
        >>> grid = sola.SnippetGrid(fps=30.0, stride=8.0, window=16.0)
        >>> round(grid.seconds(10.0), 3)
        2.933
        >>> grid.index(grid.seconds(10.0))
        10.0
    """

    fps: float
    """Frame rate (frames per second)."""
    stride: float = 1.0
    """Distance between the starts of consecutive snippets (frames)."""
    window: float = 1.0
    """Length of a snippet (frames)."""
    offset: float = 0.0
    """Start of the first snippet (frames)."""

    def __post_init__(self) -> None:
        positive(fps=self.fps, stride=self.stride, window=self.window)
        finite(offset=self.offset)

    @classmethod
    def covering(cls, duration: float, length: int) -> "SnippetGrid":
        """Return the grid of `length` snippets that cover `duration` seconds without gaps or overlap.

        Raises:
            SolaError: unless length and duration are positive.

        Examples:
            >>> import sola
            >>> sola.SnippetGrid.covering(duration=50.0, length=100).seconds(0.0)
            0.25
        """
        if length < 1 or not (math.isfinite(duration) and duration > 0):
            raise SolaError(f"{length} snippets cannot cover {duration} seconds; expected positive numbers")
        return cls(fps=length / duration)

    def seconds(self, index: Times) -> Times:
        """Return the center of a snippet (seconds) for an index, which may be fractional."""
        return (self.offset + index * self.stride + self.window / 2) / self.fps

    def index(self, seconds: Times) -> Times:
        """Return the fractional snippet index for a time in seconds, the inverse of `seconds`."""
        return (seconds * self.fps - self.window / 2 - self.offset) / self.stride

    def edge(self, index: float) -> float:
        """Return the midpoint (seconds) between the centers of a snippet and the previous snippet."""
        return self.seconds(index - 0.5)

    def inside(self, segments: Segments, length: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Return the range of snippets, out of `length`, with centers in each segment, as first and end index [n].

        A segment contains centers with start ≤ center < end. The end index is exclusive, and equal to the first index
        if the segment contains no center.
        """
        centers = self.seconds(np.arange(length))
        return np.searchsorted(centers, segments.start), np.searchsorted(centers, segments.end)

    def covered(self, segments: Segments, length: int, classes: int) -> Bool[np.ndarray, "length classes"]:
        """Return a mask [length, classes] of the classes of the segments that contain each snippet center."""
        covered = np.zeros((length, classes), np.bool_)
        for first, stop, label in zip(*self.inside(segments, length), segments.label, strict=True):
            covered[first:stop, label] = True
        return covered


@dataclass(frozen=True)
class Placement:
    """Position of a clip in its video: clip unit u is at `origin + unit·u` seconds, and T snippets cover [0, T].

    Raises SolaError unless the origin is finite and the unit is positive.
    """

    origin: float
    """Time of unit 0 (seconds)."""
    unit: float
    """Length of a unit (seconds)."""

    def __post_init__(self) -> None:
        finite(origin=self.origin)
        positive(unit=self.unit)

    def seconds(self, units: Times) -> Times:
        """Convert clip units to seconds."""
        return self.origin + self.unit * units

    def units(self, seconds: Times) -> Times:
        """Convert seconds to clip units, the inverse of `seconds`."""
        return (seconds - self.origin) / self.unit


def resolve_grid(
    length: int,
    *,
    fps: float | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    annotation_fps: float | None = None,
    duration: float | None = None,
) -> SnippetGrid | None:
    """Return the grid of a video of `length` snippets from the best source, or None if none is known.

    The first available source is used: `fps`; `annotation_fps`, if it agrees with a known duration within 5 % or one
    window; `duration`, covered by `length` snippets.

    Args:
        length: number of snippets.
        fps: frame rate from the manifest or the command line.
        stride: distance between the starts of consecutive snippets (frames), 1 by default.
        window: length of a snippet (frames), by default the stride.
        offset: start of the first snippet (frames), 0 by default.
        annotation_fps: frame rate from the annotations.
        duration: duration of the features (seconds).
    """
    stride_frames = 1.0 if stride is None else stride
    window_frames = stride_frames if window is None else window
    if fps is None and annotation_fps is not None:
        error = abs(length * stride_frames / annotation_fps - (duration or 0.0))
        # the last incomplete window of a video is missing, which is more than a few percent of a short video
        if duration is None or error <= max(DURATION_TOLERANCE * duration, window_frames / annotation_fps):
            fps = annotation_fps
    if fps is not None:
        return SnippetGrid(fps, stride_frames, window_frames, 0.0 if offset is None else offset)
    return None if duration is None else SnippetGrid.covering(duration, length)
