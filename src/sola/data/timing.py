"""Snippet index <-> seconds: the only file that knows fps, stride, window and offset."""

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
from jaxtyping import Float, Int, Num

from sola.core.checks import finite, positive
from sola.core.errors import SolaError
from sola.data.segments import BACKGROUND, Segments

DURATION_TOLERANCE = 0.05
"""How far, relatively, an annotation's fps may miss the duration and still be taken as the features' own."""


@dataclass(frozen=True)
class SnippetGrid:
    """Where the snippets of a video lie in time: snippet i spans `window` frames from `offset + i·stride` on.

    Raises SolaError when fps, stride or window is not a positive number, or the offset not a finite one.
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

    @overload
    def seconds(self, index: float) -> float: ...
    @overload
    def seconds(self, index: Num[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]: ...
    def seconds(self, index: float | Num[np.ndarray, "*n"]) -> float | Float[np.ndarray, "*n"]:
        """Return the center of a snippet, in seconds; the index may be fractional."""
        return (self.offset + index * self.stride + self.window / 2) / self.fps

    @overload
    def index(self, seconds: float) -> float: ...
    @overload
    def index(self, seconds: Num[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]: ...
    def index(self, seconds: float | Num[np.ndarray, "*n"]) -> float | Float[np.ndarray, "*n"]:
        """Return the fractional index of the snippet centered at `seconds`: the inverse of `seconds`."""
        return (seconds * self.fps - self.window / 2 - self.offset) / self.stride

    def edge(self, index: float) -> float:
        """Return where the stretch of a snippet begins, in seconds: midway between its center and the one before it."""
        return self.seconds(index - 0.5)

    def covered(self, segments: Segments, length: int) -> Int[np.ndarray, " length"]:
        """Return the class index of each of `length` snippets, or `BACKGROUND`.

        A snippet belongs to the segment that holds its center (start ≤ center < end), to the shortest where
        several do, and to the first of those where they are equally short.
        """
        centers = self.seconds(np.arange(length))
        first = np.searchsorted(centers, segments.start)
        stop = np.searchsorted(centers, segments.end)
        labels = np.full(length, BACKGROUND, np.int64)
        shortest_first = np.argsort(segments.end - segments.start, kind="stable")
        for segment in shortest_first[::-1]:  # the shortest is painted last, over the others
            labels[first[segment] : stop[segment]] = segments.label[segment]
        return labels


@dataclass(frozen=True)
class Placement:
    """Where a clip lies in its video: map unit u is at `origin + unit·u` seconds.

    A clip of T snippets spans the units [0, T].

    Raises SolaError when the origin is not finite or the unit not a positive number.
    """

    origin: float
    """Seconds of unit 0."""
    unit: float
    """Seconds that a unit lasts."""

    def __post_init__(self) -> None:
        finite(origin=self.origin)
        positive(unit=self.unit)

    @classmethod
    def covering(cls, duration: float, length: int) -> "Placement":
        """Return the placement of a clip of `length` units that is the whole video of `duration` seconds."""
        if length < 1 or not (math.isfinite(duration) and duration > 0):
            raise SolaError(f"{length} units cannot cover {duration} seconds; both must be positive")
        return cls(0.0, duration / length)

    @overload
    def seconds(self, units: float) -> float: ...
    @overload
    def seconds(self, units: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]: ...
    def seconds(self, units: float | Float[np.ndarray, "*n"]) -> float | Float[np.ndarray, "*n"]:
        """Map units to seconds of the video."""
        return self.origin + self.unit * units

    @overload
    def units(self, seconds: float) -> float: ...
    @overload
    def units(self, seconds: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]: ...
    def units(self, seconds: float | Float[np.ndarray, "*n"]) -> float | Float[np.ndarray, "*n"]:
        """Seconds of the video to map units: the inverse of `seconds`."""
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
    """Return the grid of a video of `length` snippets from the best source at hand; None where nothing is known.

    In this order: `fps` of the manifest or the flags; `annotation_fps`, with one snippet a frame unless a stride
    is given, if that agrees with the duration within 5 % where it is known; `length` snippets that tile
    `duration` seconds. `stride`, `window` (the stride where it is missing) and `offset` (frames) are the
    manifest's too.
    """
    frames = 1.0 if stride is None else stride
    if fps is None and annotation_fps is not None:
        spanned = length * frames / annotation_fps
        if duration is None or abs(spanned - duration) <= DURATION_TOLERANCE * duration:
            fps = annotation_fps
    if fps is not None:
        return SnippetGrid(fps, frames, frames if window is None else window, 0.0 if offset is None else offset)
    return None if duration is None else SnippetGrid.covering(duration, length)
