"""Similarity of snippets against temporal distance, as in section C of the supplement, for any features."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sola.data.snippet_labels import unit_vectors
from sola.softlanding.windows import draw_windows

Video = Float[np.ndarray, "_ channels"]
"""Features of one video [time, channels]."""

CHANCE = 0.5
"""Share of windows that satisfy the assumption if similarity does not depend on distance."""

STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Window steps (snippets) for which the share is computed."""


@dataclass(frozen=True)
class Curve:
    """Mean cosine similarity of two snippets against their temporal distance."""

    distance: Int[np.ndarray, " distances"]
    """Distance (snippets)."""
    similarity: Float[np.ndarray, " distances"]


@dataclass(frozen=True)
class AssumptionShare:
    """Share of windows that satisfy the local-similarity assumption, by window length; chance is one half."""

    length: Int[np.ndarray, " lengths"]
    """Window length (snippets)."""
    share: Float[np.ndarray, " lengths"]


@dataclass(frozen=True)
class Inspection:
    """Similarity against temporal distance in one feature set."""

    videos: int
    """Number of videos."""
    snippets: int
    """Number of snippets."""
    variance_within: float
    """Share of the variance within videos; the rest, mostly due to the scene, is between videos."""
    whole: Curve
    """Similarity in whole videos."""
    windows: Curve
    """Similarity in windows sampled as in training: `positions` snippets, `step` apart."""
    assumption: AssumptionShare

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serializable dictionary."""

        def lists(curve: Curve | AssumptionShare) -> dict[str, list[float]]:
            return {name: values.tolist() for name, values in vars(curve).items()}

        return {
            "videos": self.videos,
            "snippets": self.snippets,
            "variance_within": self.variance_within,
            "whole_videos": lists(self.whole),
            "windows": lists(self.windows),
            "obedience": {**lists(self.assumption), "chance": CHANCE},
        }


def inspect(
    videos: Sequence[Video], *, step: int, positions: int = 8, windows_per_video: int = 16, seed: int = 0
) -> Inspection:
    """Measure cosine similarity against temporal distance, in whole videos and in random windows.

    Tests the local-similarity assumption of SoLa (section C of the supplement): in a short window, snippets close in
    time have more similar features than distant snippets.

    Args:
        videos: features of each video [time, channels].
        step: distance between the snippets of a window (snippets).
        positions: number of snippets per window.
        windows_per_video: number of windows sampled from each video that is long enough.
        seed: seed for sampling windows.

    Returns:
        Similarity curves, the share of windows that satisfy the assumption by window length, and the share of the
        variance within videos.

    Examples:
        >>> import sola
        >>> features = sola.FeatureSet.open("features")
        >>> result = sola.inspect([features.read(video) for video in features.videos], step=2)
        >>> result.videos
        9
        >>> result.windows.distance.tolist()
        [0, 2, 4, 6, 8, 10, 12, 14]
        >>> round(float(result.windows.similarity[0]), 2)
        1.0
    """
    generator = np.random.default_rng(seed)
    units = [unit_vectors(video) for video in videos]
    lengths = np.array([len(video) for video in videos])
    drawn = {s: window_maps(units, s, positions, windows_per_video, generator) for s in sorted({*STEPS, step})}
    drawn = {s: maps for s, maps in drawn.items() if len(maps)}
    by_position = [maps.mean(axis=0) for s, maps in drawn.items() if s == step]
    similarity = [np.diagonal(mean, offset).mean() for mean in by_position for offset in range(positions)]
    return Inspection(
        videos=len(videos),
        snippets=int(lengths.sum()),
        variance_within=variance_within(videos),
        whole=similarity_by_distance(units),
        windows=Curve(step * np.arange(len(similarity)), np.array(similarity, np.float64)),
        assumption=AssumptionShare(
            np.array([(positions - 1) * s + 1 for s in drawn], np.int64),
            np.array([float(satisfies_assumption(maps).mean()) for maps in drawn.values()]),
        ),
    )


def cosine_map(features: Video, side: int = 1000) -> Float[np.ndarray, "side side"]:
    """Return the cosine similarity of all pairs of snippets. Longer videos are averaged to `side` parts first."""
    if len(features) > side:
        bounds = np.linspace(0, len(features), side, endpoint=False).astype(int)
        features = np.add.reduceat(features.astype(np.float32), bounds, axis=0)
    unit = unit_vectors(features)
    similarity: Float[np.ndarray, "side side"] = unit @ unit.T
    return similarity


def similarity_by_distance(units: Iterable[Video]) -> Curve:
    """Return the mean of x_t · x_(t+d) over all pairs in all videos, for d = 0 up to half the longest video.

    The sum over a video is an autocorrelation, computed by FFT in O(time log time).
    """
    total, count = np.zeros(0), np.zeros(0)
    for unit in units:
        length = len(unit)
        size = 2 ** math.ceil(math.log2(2 * length))
        spectrum = np.fft.rfft(unit, size, axis=0)
        summed = np.fft.irfft(np.square(np.abs(spectrum)).sum(axis=1), size)[:length]
        longest = max(length, len(total))
        total, count = np.pad(total, (0, longest - len(total))), np.pad(count, (0, longest - len(count)))
        total[:length] += summed
        count[:length] += length - np.arange(length)
    # larger distances have few pairs
    distances = (len(total) + 1) // 2
    return Curve(np.arange(distances), total[:distances] / count[:distances])


def window_maps(
    units: Sequence[Video], step: int, positions: int, per_video: int, generator: np.random.Generator
) -> Float[np.ndarray, "windows positions positions"]:
    """Return the cosine maps of windows sampled from all videos that are long enough, `per_video` from each."""
    window_length = (positions - 1) * step + 1
    lengths = np.array([len(unit) for unit in units])
    video, start = draw_windows(lengths, window_length, per_video, generator)
    maps = np.empty((len(video), positions, positions), np.float32)
    for index, (v, s) in enumerate(zip(video, start, strict=True)):
        window = units[v][s : s + window_length : step]
        maps[index] = window @ window.T
    return maps


def satisfies_assumption(maps: Float[np.ndarray, "windows positions positions"]) -> np.ndarray:
    """Return whether each window satisfies the local-similarity assumption: booleans [windows].

    A window satisfies it if pairs closer than half the window are on average more similar than the other pairs.
    """
    n = maps.shape[1]
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    near, far = (distance > 0) & (distance < n / 2), distance >= n / 2
    satisfied: np.ndarray = maps[:, near].mean(axis=1) > maps[:, far].mean(axis=1)
    return satisfied


def variance_within(videos: Iterable[Video]) -> float:
    """Return the share of the variance of all snippets that is within videos; 1 if there is no variance."""
    within, snippets = 0.0, 0
    total: Any = 0.0
    squares = 0.0
    for video in videos:
        values = video.astype(np.float64)
        within += float(np.square(values - values.mean(axis=0)).sum())
        total = total + values.sum(axis=0)
        squares += float(np.square(values).sum())
        snippets += len(values)
    overall = squares - float(np.square(total).sum()) / snippets
    return min(within / overall, 1.0) if overall > 1e-12 * squares else 1.0


def compare(
    videos: Sequence[Video],
    views: Mapping[str, Callable[[Video], Video]],
    *,
    step: int,
    positions: int = 8,
    seed: int = 0,
) -> dict[str, Inspection]:
    """Inspect the same videos under several transforms `views` (raw, centered, transformed, …), by name."""
    return {
        name: inspect([view(video) for video in videos], step=step, positions=positions, seed=seed)
        for name, view in views.items()
    }
