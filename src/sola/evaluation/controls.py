"""Controls: feature transforms that need no SoLa. A gain that one of them also gives is not SoLa's.

Each maps arrays to arrays and is fitted on the training videos, without labels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from sola.core.checks import odd
from sola.core.errors import SolaError
from sola.evaluation.untrained import Untrained, UntrainedModule
from sola.softlanding.kinds import Form
from sola.softlanding.moments import Moments, video_moments, whitening
from sola.softlanding.transform import Transform

WIDTHS = (5, 9, 17, 33, 65)
"""Widths of the moving averages, in snippets."""
SLOW_SIZES = (16, 64)
"""Numbers of directions of slow-feature analysis."""
SLOW_WIDTHS = (9, 33)
"""Widths of the moving averages after it, in snippets."""
SCENE_WIDTHS = (9, 33)
"""Widths of the moving averages of features less their scene, in snippets."""
SEEDED: Mapping[str, Form] = {"untrained direct": "direct", "untrained residual": "adapter"}
"""Controls whose features depend on the seed, and the form of their module."""
NAMES = (
    "centered",
    *(f"average {width}" for width in WIDTHS),
    *(f"centered, average {width}" for width in WIDTHS),
    *(f"scene removed, average {width}" for width in SCENE_WIDTHS),
    *(f"slow {size}{after}" for size in SLOW_SIZES for after in ("", *(f", average {width}" for width in SLOW_WIDTHS))),
    "whitened",
    "centered, whitened",
    *SEEDED,
)
"""All controls, in the order of the table."""
NEGLIGIBLE = 1e-6
"""Share of the largest variance below which slow-feature analysis skips a direction as rounding."""
SAMPLE = 16
"""Training videos from which untrained multi-scale modules take the scales of their parts."""
SHRINKAGE = 1e-2
"""Share of the mean variance that is added to the variance of every direction before whitening."""


@dataclass(frozen=True)
class Control:
    """A fitted control."""

    name: str
    at_seed: Callable[[int], Transform]
    """Transform for a seed."""
    seeded: bool = False
    """Whether the transform depends on the seed."""


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


def remove_scene(
    features: Float[np.ndarray, "time channels"], mean: Float[np.ndarray, " channels"], share: float
) -> Float[np.ndarray, "time channels"]:
    """Remove the mean of all videos, and of what a video's mean differs from it the `share` that is the scene."""
    scene = mean + share * (features.mean(axis=0) - mean)
    removed: Float[np.ndarray, "time channels"] = features - scene.astype(features.dtype)
    return removed


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


def fit_controls(
    videos: Iterable[Float[np.ndarray, "_ channels"]], untrained: Mapping[str, Sequence[Untrained]]
) -> tuple[Control, ...]:
    """Fit every control of `NAMES` on the raw features [time, channels] of the training videos, read once.

    `untrained` are the modules that the untrained controls resemble, by the name of a feature set; seed i resembles
    the i-th of a name, in turn. One name gives the two rows in `NAMES`; each of several gives its own, "untrained
    direct (NAME)"; none gives those of the default `UntrainedModule`.

    Raises SolaError when no video has two snippets, or the features never change within a video.
    """
    sample: list[Float[np.ndarray, "_ channels"]] = []
    moments = video_moments(_keeping(videos, sample))
    averages = [partial(moving_average, width=width) for width in WIDTHS]
    slow: list[Transform] = []
    for size in SLOW_SIZES:
        directions = _then(center, _linear(slow_directions(moments, size)))
        slow += [directions, *(_then(directions, partial(moving_average, width=width)) for width in SLOW_WIDTHS)]
    without_scene = partial(remove_scene, mean=moments.mean, share=moments.scene_share)
    white = _linear(whitening(moments.covariance, SHRINKAGE))
    transforms: list[Transform] = [
        center,
        *averages,
        *(_then(center, average) for average in averages),
        *(_then(without_scene, partial(moving_average, width=width)) for width in SCENE_WIDTHS),
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
            controls.append(Control(kind + suffix, partial(_untrained, likes, form, moments, sample), seeded=True))
    return tuple(controls)


def _keeping(
    videos: Iterable[Float[np.ndarray, "_ channels"]], sample: list[Float[np.ndarray, "_ channels"]]
) -> Iterator[Float[np.ndarray, "_ channels"]]:
    """Yield the videos, and keep the first `SAMPLE`."""
    for video in videos:
        if len(sample) < SAMPLE:
            sample.append(video)
        yield video


def _untrained(
    modules: Sequence[Untrained],
    form: Form,
    moments: Moments,
    sample: Sequence[Float[np.ndarray, "_ channels"]],
    seed: int,
) -> Transform:
    return modules[seed % len(modules)].transform(seed, form, moments, sample)


def _fixed(transform: Transform, seed: int) -> Transform:
    return transform


def _then(first: Transform, second: Transform) -> Transform:
    return lambda features: second(first(features))


def _linear(matrix: Float[np.ndarray, "channels features"]) -> Transform:
    return lambda features: features @ matrix.astype(features.dtype)
