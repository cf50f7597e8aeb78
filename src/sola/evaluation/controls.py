"""Controls: what needs no SoLa. A gain over raw features that one of these also gives is not SoLa's.

Everything here is arrays to arrays, is fitted on training videos without their labels, and is named in `NAMES`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sola.core.checks import odd
from sola.core.errors import SolaError
from sola.softlanding.network import SoLa
from sola.softlanding.transform import transform_array

Transform = Callable[[Float[np.ndarray, "time channels"]], Float[np.ndarray, "time features"]]
"""What a control does to a video; float32 stays float32."""

WIDTHS = (5, 9, 17, 33, 65)
"""Snippets of the moving averages."""

SLOW_SIZES = (16, 64)
"""Directions kept by slow-feature analysis."""

SLOW_WIDTHS = (9, 33)
"""Snippets of the moving averages after it."""

NAMES = (
    "centered",
    "average 5",
    "average 9",
    "average 17",
    "average 33",
    "average 65",
    "centered, average 5",
    "centered, average 9",
    "centered, average 17",
    "centered, average 33",
    "centered, average 65",
    "slow 16",
    "slow 16, average 9",
    "slow 16, average 33",
    "slow 64",
    "slow 64, average 9",
    "slow 64, average 33",
    "whitened",
    "centered, whitened",
    "untrained direct",
    "untrained residual",
)
"""All controls, in the order of the table."""

NEGLIGIBLE = 1e-6
"""Directions with less than this share of the largest variance are rounding, and slow-feature analysis skips them."""

SHRINKAGE = 1e-2
"""Share of the mean variance that is added to every direction's before whitening."""

SHAPE = ("channels", "hidden", "kernel_size", "conditioning", "smoothing")


@dataclass(frozen=True)
class Control:
    """One control: its name, its transform for a seed, and whether the seed matters."""

    name: str
    at_seed: Callable[[int], Transform]
    seeded: bool = False


@dataclass(frozen=True)
class UntrainedModule:
    """What the untrained controls take over from a trained module: its shape and conditioning, its gate and scale.

    Without a trained module to stand beside, the defaults are the supplement's module (Table 4a) without conditioning,
    its gate held at 0.1.
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
        """Read the `sola` entry of a manifest: "config", "gate" and "scale", as `sola transform` writes them.

        Raises:
            SolaError: when something is missing.
        """
        try:
            config = {name: entry["config"][name] for name in SHAPE}
            return cls(**config, gate=float(entry["gate"]), scale=float(entry["scale"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SolaError(
                f'"sola" in a manifest is not what `sola transform` writes ({error!r}); transform the features again'
            ) from None

    def direct(self, seed: int) -> Transform:
        """f(x) of a module with random weights."""
        return self._transform(seed, "direct")

    def residual(self, seed: int) -> Transform:
        """x + gate·f(x) of a module with random weights."""
        return self._transform(seed, "adapter")

    def _transform(self, seed: int, form: str) -> Transform:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = SoLa(
                self.channels,
                hidden=self.hidden,
                kernel_size=self.kernel_size,
                form=form,  # type: ignore[arg-type]  # from a manifest: SoLa checks it
                gate="linear",
                conditioning=self.conditioning,  # type: ignore[arg-type]
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
    """Average each snippet with its neighbors over `width` snippets (odd), at the ends over those that exist.

    Raises:
        SolaError: for an even width.
    """
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
    """Second moments within videos, and the mean over all: one pass, enough for every fitted control."""

    mean: Float[np.ndarray, " channels"]
    covariance: Float[np.ndarray, "channels channels"]
    difference_covariance: Float[np.ndarray, "channels channels"]


def within_video_moments(videos: Iterable[Float[np.ndarray, "_ channels"]]) -> Moments:
    """Moments of at least one video: covariance about each video's own mean, and that of successive differences.

    Raises:
        SolaError: when there is no video, or no video with two snippets.
    """
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
    """Linear slow-feature analysis (Wiskott and Sejnowski 2002): the `size` projections that change least.

    Each column gives unit variance within videos, the columns are uncorrelated, and they are in order of the mean
    squared difference between successive snippets, slowest first. Directions of negligible variance are left out
    first, so there may be fewer than `size`.
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
    """Inverse square root of the within-video covariance, shrunk by `SHRINKAGE` of its mean variance."""
    values, vectors = np.linalg.eigh(moments.covariance)
    values = np.maximum(values, 0.0) + SHRINKAGE * values.mean()
    root: Float[np.ndarray, "channels channels"] = (vectors / np.sqrt(values)) @ vectors.T
    return root


def fit_controls(
    videos: Iterable[Float[np.ndarray, "_ channels"]], untrained: Mapping[str, Sequence[UntrainedModule]]
) -> tuple[Control, ...]:
    """Fit every control of `NAMES` on the features of the training videos, which need no labels.

    Args:
        videos: raw features of the training videos, each of them [time, channels]; read once.
        untrained: the modules that the untrained controls resemble, by the name of the feature set that they made;
            seed i resembles the i-th of a name, in turn. One name gives the two rows in `NAMES`; each of several gives
            its own, "untrained direct (NAME)"; none gives those of the default `UntrainedModule`.

    Raises:
        SolaError: when no video has two snippets, or the features never change within a video.
    """
    moments = within_video_moments(videos)
    controls: dict[str, Transform] = {"centered": center}
    for width in WIDTHS:
        average = partial(moving_average, width=width)
        controls[f"average {width}"] = average
        controls[f"centered, average {width}"] = _then(center, average)
    for size in SLOW_SIZES:
        slow = _then(center, _linear(slow_directions(moments, size)))
        controls[f"slow {size}"] = slow
        for width in SLOW_WIDTHS:
            controls[f"slow {size}, average {width}"] = _then(slow, partial(moving_average, width=width))
    white = _linear(whitening(moments))
    controls["whitened"] = _then(lambda features: features - moments.mean.astype(features.dtype), white)
    controls["centered, whitened"] = _then(center, white)
    fitted = [Control(name, partial(_same, controls[name])) for name in NAMES if name in controls]
    modules = untrained or {"": (UntrainedModule(channels=len(moments.mean)),)}
    for name, of_seed in modules.items():
        suffix = f" ({name})" if len(modules) > 1 else ""
        fitted.append(Control(f"untrained direct{suffix}", partial(_direct, of_seed), seeded=True))
        fitted.append(Control(f"untrained residual{suffix}", partial(_residual, of_seed), seeded=True))
    return tuple(fitted)


def _direct(modules: Sequence[UntrainedModule], seed: int) -> Transform:
    return modules[seed % len(modules)].direct(seed)


def _residual(modules: Sequence[UntrainedModule], seed: int) -> Transform:
    return modules[seed % len(modules)].residual(seed)


def _same(transform: Transform, seed: int) -> Transform:
    return transform


def _then(first: Transform, second: Transform) -> Transform:
    return lambda features: second(first(features))


def _linear(matrix: Float[np.ndarray, "channels features"]) -> Transform:
    return lambda features: features @ matrix.astype(features.dtype)
