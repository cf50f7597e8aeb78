"""Smooth motion: cycles through key poses, blending, and noise as a function of time."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator


class Cycle:
    """A closed path through key poses at phases in [0, 1), with zero velocity at turning points."""

    def __init__(self, keys: Mapping[float, Float[np.ndarray, " pose"]]) -> None:
        phases = np.array(sorted(keys))
        poses = np.stack([keys[phase] for phase in phases.tolist()])
        around = np.concatenate([phases + turn for turn in (-1, 0, 1)])
        self._path = PchipInterpolator(around, np.concatenate([poses] * 3), axis=0)

    def __call__(self, phase: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames pose"]:
        """Return the poses at phases (cycles)."""
        poses: Float[np.ndarray, "frames pose"] = self._path(np.mod(phase, 1.0))
        return poses


class Noise:
    """Smooth noise with several channels: sums of sines with random frequencies (Hz), defined at any time."""

    def __init__(self, channels: int, slowest: float, fastest: float, generator: np.random.Generator) -> None:
        waves = 5
        self._frequency = 2 * np.pi * np.exp(generator.uniform(np.log(slowest), np.log(fastest), (waves, channels)))
        self._phase = generator.uniform(0, 2 * np.pi, (waves, channels))
        self._scale = np.sqrt(2 / waves)

    def __call__(self, seconds: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames channels"]:
        """Return values with mean 0 and variance 1 at times in seconds."""
        return self._scale * np.sin(seconds[:, None, None] * self._frequency + self._phase).sum(axis=1)


def smooth_step(value: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Return 0 below -1/2, 1 above 1/2, and smooth interpolation between."""
    share = np.clip(value + 0.5, 0.0, 1.0)
    return share * share * (3 - 2 * share)


def shares(
    seconds: Float[np.ndarray, " frames"], borders: Sequence[float], widths: Sequence[float]
) -> Float[np.ndarray, "frames stretches"]:
    """Return the weight of each interval between borders at each time; rows sum to 1.

    Around a border of width w (seconds), the weights change from w/2 before to w/2 after it. At the border, both
    weights are one half.
    """
    steps = [np.ones_like(seconds)]
    steps += [smooth_step((seconds - border) / width) for border, width in zip(borders, widths, strict=True)]
    steps.append(np.zeros_like(seconds))
    return -np.diff(np.stack(steps, axis=1), axis=1)
