"""Positions of snippets in time: conversions between snippet indices, clip units and seconds."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Int

from sola.core.checks import finite, positive
from sola.core.errors import SolaError
from sola.data.segments import Segments

DURATION_TOLERANCE = 0.05
"""Largest relative error of the duration at which an annotation's fps is taken for that of the features."""

Times = TypeVar("Times", float, np.ndarray)
"""A number, or an array that is converted element by element."""


@dataclass(frozen=True)
class SnippetGrid:
    """Positions of the snippets of a video: snippet i spans `window` frames from frame `offset + i·stride`.

    Raises SolaError unless fps, stride and window are positive and the offset is finite.
    """

    fps: float
    """Frames per second."""
    stride: float = 1.0
    """Frames from one snippet's start to the next one's."""
    window: float = 1.0
    """Frames that a snippet spans."""
    offset: float = 0.0
    """Frame at which the first snippet starts."""

    def __post_init__(self) -> None:
        positive(fps=self.fps, stride=self.stride, window=self.window)
        finite(offset=self.offset)

    @classmethod
    def covering(cls, duration: float, length: int) -> "SnippetGrid":
        """Return the grid whose `length` snippets tile `duration` seconds without gap or overlap."""
        if length < 1 or not (math.isfinite(duration) and duration > 0):
            raise SolaError(f"{length} snippets cannot cover {duration} seconds; both must be positive")
        return cls(fps=length / duration)

    def seconds(self, index: Times) -> Times:
        """Return the center of a snippet, in seconds; the index may be fractional."""
        return (self.offset + index * self.stride + self.window / 2) / self.fps

    def index(self, seconds: Times) -> Times:
        """Return the fractional index of the snippet centered at `seconds`: the inverse of `seconds`."""
        return (seconds * self.fps - self.window / 2 - self.offset) / self.stride

    def edge(self, index: float) -> float:
        """Return the midpoint (seconds) between the centers of a snippet and the one before."""
        return self.seconds(index - 0.5)

    def inside(self, segments: Segments, length: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Return the first of `length` snippets whose center lies in each segment, and the one after the last.

        A segment holds the centers with start ≤ center < end; the two are equal if it holds none.
        """
        centers = self.seconds(np.arange(length))
        return np.searchsorted(centers, segments.start), np.searchsorted(centers, segments.end)

    def covered(self, segments: Segments, length: int, classes: int) -> Bool[np.ndarray, "length classes"]:
        """Return which classes each of `length` snippets has: those of all segments that hold its center."""
        covered = np.zeros((length, classes), np.bool_)
        for first, stop, label in zip(*self.inside(segments, length), segments.label, strict=True):
            covered[first:stop, label] = True
        return covered


@dataclass(frozen=True)
class Placement:
    """Position of a clip in its video: clip unit u is at `origin + unit·u` seconds, and T snippets span [0, T].

    Raises SolaError unless the origin is finite and the unit positive.
    """

    origin: float
    """Seconds of unit 0."""
    unit: float
    """Length of a unit in seconds."""

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
    """Return the grid of a video of `length` snippets from the best source; None if nothing is known.

    The first that is available: `fps` of the manifest or the flags; `annotation_fps`, if it agrees within 5 % or one
    window with a known duration; `length` snippets that tile `duration` seconds. `stride` (1 by default), `window` (by
    default the stride) and `offset` (frames) are those of the manifest.
    """
    frames = 1.0 if stride is None else stride
    spans = frames if window is None else window
    if fps is None and annotation_fps is not None:
        missed = abs(length * frames / annotation_fps - (duration or 0.0))
        # the last windows of a video are not full, so short videos lack more than a few percent
        if duration is None or missed <= max(DURATION_TOLERANCE * duration, spans / annotation_fps):
            fps = annotation_fps
    if fps is not None:
        return SnippetGrid(fps, frames, spans, 0.0 if offset is None else offset)
    return None if duration is None else SnippetGrid.covering(duration, length)
