"""Controls: feature transforms that need no SoLa. A gain that one of them also gives is not SoLa's.

Each maps arrays to arrays and is fitted on the training videos, without labels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from sola.core.checks import odd
from sola.core.errors import SolaError
from sola.softlanding.network import SoLa
from sola.softlanding.transform import transform_array

Transform = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time features"]]
"""Transform of a video's features; float32 stays float32."""

WIDTHS = (5, 9, 17, 33, 65)
"""Widths of the moving averages, in snippets."""
SLOW_SIZES = (16, 64)
"""Numbers of directions of slow-feature analysis."""
SLOW_WIDTHS = (9, 33)
"""Widths of the moving averages after it, in snippets."""
Form = Literal["direct", "adapter"]
SEEDED: Mapping[str, Form] = {"untrained direct": "direct", "untrained residual": "adapter"}
"""Controls whose features depend on the seed, and the form of their module."""
NAMES = (
    "centered",
    *(f"average {width}" for width in WIDTHS),
    *(f"centered, average {width}" for width in WIDTHS),
    *(f"slow {size}{after}" for size in SLOW_SIZES for after in ("", *(f", average {width}" for width in SLOW_WIDTHS))),
    "whitened",
    "centered, whitened",
    *SEEDED,
)
"""All controls, in the order of the table."""
NEGLIGIBLE = 1e-6
"""Share of the largest variance below which slow-feature analysis skips a direction as rounding."""
SHRINKAGE = 1e-2
"""Share of the mean variance that is added to the variance of every direction before whitening."""
SHAPE = ("channels", "hidden", "kernel_size", "conditioning", "smoothing")
"""Settings that an untrained module takes from a trained one."""


@dataclass(frozen=True)
class Control:
    """A fitted control."""

    name: str
    at_seed: Callable[[int], Transform]
    """Transform for a seed."""
    seeded: bool = False
    """Whether the transform depends on the seed."""


@dataclass(frozen=True)
class UntrainedModule:
    """A module with random weights: the shape, conditioning, gate and scale of a trained one.

    The defaults are the supplement's module (Table 4a) without conditioning, with a gate of 0.1.
    """

    channels: int
    hidden: int = 1024
    kernel_size: int = 5
    conditioning: str = "none"
    smoothing: int = 1
    gate: float = 0.1
    scale: float = 1.0

    @classmethod
    def like(cls, entry: Mapping[str, Any]) -> "UntrainedModule":
        """Read the `sola` entry of a manifest, as `sola transform` writes it; raises SolaError if it is incomplete."""
        try:
            config = {name: entry["config"][name] for name in SHAPE}
            return cls(**config, gate=float(entry["gate"]), scale=float(entry["scale"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SolaError(
                f'"sola" in a manifest is not what `sola transform` writes ({error!r}); transform the features again'
            ) from None

    def transform(self, seed: int, form: Form) -> Transform:
        """Return f(x), or with the form "adapter" x + gate·f(x), of the module with this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = SoLa(
                self.channels,
                hidden=self.hidden,
                kernel_size=self.kernel_size,
                form=form,
                gate="linear",
                conditioning=self.conditioning,  # type: ignore[arg-type]  # from a manifest: SoLa checks it
                smoothing=self.smoothing,
            ).eval()
        module.scale.fill_(self.scale)
        if module.alpha is not None:
            module.alpha.data.fill_(self.gate)
        return partial(transform_array, module)


def center(features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time channels"]:
    """Remove a video's mean over time."""
    centered: Float[np.ndarray, "time channels"] = features - features.mean(axis=0)
    return centered


def moving_average(features: Float[np.ndarray, "time channels"], width: int) -> Float[np.ndarray, "time channels"]:
    """Average over `width` snippets around each, at the ends over those that exist; raises SolaError if even."""
    odd(width=width)
    half, length = width // 2, len(features)
    sums = np.zeros((length + 1, features.shape[1]))
    np.cumsum(features, axis=0, dtype=np.float64, out=sums[1:])
    first = np.maximum(np.arange(length) - half, 0)
    last = np.minimum(np.arange(length) + half + 1, length)
    average: Float[np.ndarray, "time channels"] = (sums[last] - sums[first]) / (last - first)[:, None]
    return average.astype(features.dtype)


@dataclass(frozen=True)
class Moments:
    """Mean of all snippets, covariance within videos, and covariance of successive differences."""

    mean: Float[np.ndarray, " channels"]
    covariance: Float[np.ndarray, "channels channels"]
    difference_covariance: Float[np.ndarray, "channels channels"]


def within_video_moments(videos: Iterable[Float[np.ndarray, "_ channels"]]) -> Moments:
    """Return the moments in one pass; raises SolaError when there is no video with two snippets."""
    total: Any = 0.0
    squares: Any = 0.0
    difference_squares: Any = 0.0
    snippets = differences = 0
    for video in videos:
        values = video.astype(np.float64)
        mean = values.mean(axis=0)
        total = total + values.sum(axis=0)
        values -= mean
        squares = squares + values.T @ values
        step = np.diff(values, axis=0)
        difference_squares = difference_squares + step.T @ step
        snippets += len(values)
        differences += len(step)
    if not differences:
        raise SolaError("no training video has two snippets; the fitted controls need at least one such video")
    return Moments(total / snippets, squares / snippets, difference_squares / differences)


def slow_directions(moments: Moments, size: int) -> Float[np.ndarray, "channels directions"]:
    """Return the `size` slowest projections (linear slow-feature analysis; Wiskott and Sejnowski 2002).

    Projections are uncorrelated, have unit variance within videos, and are in the order of the mean squared difference
    of successive snippets. Directions of negligible variance are left out, so there may be fewer than `size`.
    """
    values, vectors = np.linalg.eigh(moments.covariance)
    if values[-1] <= 0:
        raise SolaError("the training features never change within a video; expected one feature a snippet")
    kept = values > NEGLIGIBLE * values[-1]
    sphere = vectors[:, kept] / np.sqrt(values[kept])
    _, turn = np.linalg.eigh(sphere.T @ moments.difference_covariance @ sphere)
    directions: Float[np.ndarray, "channels directions"] = sphere @ turn[:, :size]
    return directions


def whitening(moments: Moments) -> Float[np.ndarray, "channels channels"]:
    """Return the inverse square root of the within-video covariance, shrunk by `SHRINKAGE` of its mean variance."""
    values, vectors = np.linalg.eigh(moments.covariance)
    values = np.maximum(values, 0.0) + SHRINKAGE * values.mean()
    root: Float[np.ndarray, "channels channels"] = (vectors / np.sqrt(values)) @ vectors.T
    return root


def fit_controls(
    videos: Iterable[Float[np.ndarray, "_ channels"]], untrained: Mapping[str, Sequence[UntrainedModule]]
) -> tuple[Control, ...]:
    """Fit every control of `NAMES` on the raw features [time, channels] of the training videos, read once.

    `untrained` are the modules that the untrained controls resemble, by the name of a feature set; seed i resembles
    the i-th of a name, in turn. One name gives the two rows in `NAMES`; each of several gives its own, "untrained
    direct (NAME)"; none gives those of the default `UntrainedModule`.

    Raises SolaError when no video has two snippets, or the features never change within a video.
    """
    moments = within_video_moments(videos)
    averages = [partial(moving_average, width=width) for width in WIDTHS]
    slow: list[Transform] = []
    for size in SLOW_SIZES:
        directions = _then(center, _linear(slow_directions(moments, size)))
        slow += [directions, *(_then(directions, partial(moving_average, width=width)) for width in SLOW_WIDTHS)]
    white = _linear(whitening(moments))
    transforms: list[Transform] = [
        center,
        *averages,
        *(_then(center, average) for average in averages),
        *slow,
        _then(lambda features: features - moments.mean.astype(features.dtype), white),
        _then(center, white),
    ]
    names = [name for name in NAMES if name not in SEEDED]
    controls = [Control(name, partial(_fixed, change)) for name, change in zip(names, transforms, strict=True)]
    modules = untrained or {"": (UntrainedModule(channels=len(moments.mean)),)}
    for name, likes in modules.items():
        suffix = f" ({name})" if len(modules) > 1 else ""
        for kind, form in SEEDED.items():
            controls.append(Control(kind + suffix, partial(_untrained, likes, form), seeded=True))
    return tuple(controls)


def _untrained(modules: Sequence[UntrainedModule], form: Form, seed: int) -> Transform:
    return modules[seed % len(modules)].transform(seed, form)


def _fixed(transform: Transform, seed: int) -> Transform:
    return transform


def _then(first: Transform, second: Transform) -> Transform:
    return lambda features: second(first(features))


def _linear(matrix: Float[np.ndarray, "channels features"]) -> Transform:
    return lambda features: features @ matrix.astype(features.dtype)
