"""What every head is: features in, raw prediction out, and the prediction decoded to segments in seconds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, overload

import numpy as np
from jaxtyping import Float
from torch import Tensor

from sola.errors import SolaError
from sola.segments import Segments

Prediction = TypeVar("Prediction")


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
        if not math.isfinite(self.origin):
            raise SolaError(f"a clip's origin must be a finite number of seconds, not {self.origin}")
        if not (math.isfinite(self.unit) and self.unit > 0):
            raise SolaError(f"a clip's unit must be a positive number of seconds, not {self.unit}")

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


class Head(Protocol[Prediction]):
    """A temporal action localiser on snippet features; a loss object of its own scores what `forward` returns."""

    def forward(self, features: Float[Tensor, "batch channels time"]) -> Prediction:
        """Return the raw prediction: no loss, no thresholds, no seconds."""
        ...

    def decode(self, prediction: Prediction, placements: Sequence[Placement]) -> list[Segments]:
        """Return the proposals of each clip in seconds, in no promised order, before any suppression.

        Label 0 stands for "an action" where the head knows no classes.

        Raises SolaError when there is not one placement for each clip.
        """
        ...
