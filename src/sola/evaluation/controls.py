"""Controls: simple feature transforms to compare with SoLa. A gain that a control also reaches is not due to SoLa.

Each control maps arrays to arrays and is fitted on the training videos without labels.
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
"""Widths of moving averages (snippets)."""
SLOW_SIZES = (16, 64)
"""Numbers of directions of slow-feature analysis."""
SLOW_WIDTHS = (9, 33)
"""Widths of moving averages after slow-feature analysis (snippets)."""
SCENE_WIDTHS = (9, 33)
"""Widths of moving averages after scene removal (snippets)."""
SEEDED: Mapping[str, Form] = {"untrained direct": "direct", "untrained residual": "adapter"}
"""Form of the module, for controls that depend on the seed."""
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
"""All controls in table order."""
NEGLIGIBLE = 1e-6
"""Fraction of the largest variance below which slow-feature analysis drops a direction as rounding error."""
SAMPLE = 16
"""Number of training videos used to scale the parts of untrained multi-scale modules."""
SHRINKAGE = 1e-2
"""Fraction of the mean variance added to the variance of each direction before whitening."""


@dataclass(frozen=True)
class Control:
    """A fitted control."""

    name: str
    at_seed: Callable[[int], Transform]
    """Return the transform for a seed."""
    seeded: bool = False
    """True if the transform depends on the seed."""


def center(features: Float[np.ndarray, "time channels"]) -> Float[np.ndarray, "time channels"]:
    """Remove a video's mean over time."""
    centered: Float[np.ndarray, "time channels"] = features - features.mean(axis=0)
    return centered


def moving_average(features: Float[np.ndarray, "time channels"], width: int) -> Float[np.ndarray, "time channels"]:
    """Average over a centered window of `width` snippets, cut off at the ends. Raises SolaError if `width` is even."""
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
    """Subtract the global mean plus `share` of the difference between the video mean and the global mean."""
    scene = mean + share * (features.mean(axis=0) - mean)
    removed: Float[np.ndarray, "time channels"] = features - scene.astype(features.dtype)
    return removed


def slow_directions(moments: Moments, size: int) -> Float[np.ndarray, "channels directions"]:
    """Return the `size` slowest directions (linear slow-feature analysis; Wiskott and Sejnowski 2002).

    Projections on them are uncorrelated, have unit variance within videos, and are sorted by the mean squared
    difference of successive snippets. Directions with negligible variance are dropped, so there may be fewer than
    `size`.
    """
    values, vectors = np.linalg.eigh(moments.covariance)
    if values[-1] <= 0:
        raise SolaError("the training features never change within a video; expected one feature vector per snippet")
    significant = values > NEGLIGIBLE * values[-1]
    sphere = vectors[:, significant] / np.sqrt(values[significant])
    _, turn = np.linalg.eigh(sphere.T @ moments.difference_covariance @ sphere)
    directions: Float[np.ndarray, "channels directions"] = sphere @ turn[:, :size]
    return directions


def fit_controls(
    videos: Iterable[Float[np.ndarray, "_ channels"]], untrained: Mapping[str, Sequence[Untrained]]
) -> tuple[Control, ...]:
    """Fit all controls of `NAMES` on the raw features [time, channels] of the training videos.

    The videos are read once. `untrained` has the untrained modules by name of the feature set; seed i uses the i-th,
    cyclically. A single name gives the two untrained controls in `NAMES`, several names give two each, such as
    "untrained direct (NAME)". If empty, the default `UntrainedModule` is used.

    Raises SolaError if no video has two snippets, or the features never change within a video.
    """
    sample: list[Float[np.ndarray, "_ channels"]] = []
    moments = video_moments(_sampling(videos, sample))
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
    for name, candidates in modules.items():
        suffix = f" ({name})" if len(modules) > 1 else ""
        for kind, form in SEEDED.items():
            controls.append(Control(kind + suffix, partial(_untrained, candidates, form, moments, sample), seeded=True))
    return tuple(controls)


def _sampling(
    videos: Iterable[Float[np.ndarray, "_ channels"]], sample: list[Float[np.ndarray, "_ channels"]]
) -> Iterator[Float[np.ndarray, "_ channels"]]:
    """Yield the videos, and add the first `SAMPLE` to `sample`."""
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
