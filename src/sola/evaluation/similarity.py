"""Similarity of snippets against their distance in time: the supplement's section C, on any features."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sola.data.snippet_labels import unit_vectors
from sola.softlanding.windows import draw_windows

Video = Float[np.ndarray, "_ channels"]
"""[time, channels]; videos of one set differ in length, not in width."""

CHANCE = 0.5
"""Share of windows that satisfy the assumption if similarity does not depend on distance."""

STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Steps whose windows are looked at."""


@dataclass(frozen=True)
class Curve:
    """Mean cosine similarity of two snippets against their distance in snippets."""

    distance: Int[np.ndarray, " distances"]
    similarity: Float[np.ndarray, " distances"]


@dataclass(frozen=True)
class AssumptionShare:
    """Share of windows that satisfy the local-similarity assumption, by length in snippets; chance is one half."""

    length: Int[np.ndarray, " lengths"]
    share: Float[np.ndarray, " lengths"]


@dataclass(frozen=True)
class Inspection:
    """Similarity against distance in one feature set."""

    videos: int
    snippets: int
    variance_within: float
    """Share of the variance that lies within videos; the rest, mostly the scene, is between them."""
    whole: Curve
    """Over whole videos."""
    windows: Curve
    """Over windows drawn as in training: `positions` snippets, `step` apart."""
    assumption: AssumptionShare

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""

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
    """Measure similarity against distance (section C) in whole videos and in random windows.

    A window is `positions` snippets, `step` apart; `windows_per_video` are drawn from each of the videos [time,
    channels] that is long enough.
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
    """Return the cosine similarity of every two snippets; longer videos are averaged to `side` stretches first."""
    if len(features) > side:
        bounds = np.linspace(0, len(features), side, endpoint=False).astype(int)
        features = np.add.reduceat(features.astype(np.float32), bounds, axis=0)
    unit = unit_vectors(features)
    similarity: Float[np.ndarray, "side side"] = unit @ unit.T
    return similarity


def similarity_by_distance(units: Iterable[Video]) -> Curve:
    """Return the mean of x_t · x_(t+d) over all pairs of all videos, for d = 0 up to half the longest video.

    The sum over a video is an autocorrelation, computed with the Fourier transform in O(time log time).
    """
    total, count = np.zeros(0), np.zeros(0)
    for unit in units:
        length = len(unit)
        size = 2 ** math.ceil(math.log2(2 * length))
        spectrum = np.fft.rfft(unit, size, axis=0)
        summed = np.fft.irfft(np.square(np.abs(spectrum)).sum(axis=1), size)[:length]
        grown = max(length, len(total))
        total, count = np.pad(total, (0, grown - len(total))), np.pad(count, (0, grown - len(count)))
        total[:length] += summed
        count[:length] += length - np.arange(length)
    # beyond half of the longest video few pairs are left
    kept = (len(total) + 1) // 2
    return Curve(np.arange(kept), total[:kept] / count[:kept])


def window_maps(
    units: Sequence[Video], step: int, positions: int, per_video: int, generator: np.random.Generator
) -> Float[np.ndarray, "windows positions positions"]:
    """Cosine maps of windows drawn evenly from all videos that hold `positions` snippets at that step."""
    span = (positions - 1) * step + 1
    lengths = np.array([len(unit) for unit in units])
    video, start = draw_windows(lengths, span, per_video, generator)
    maps = np.empty((len(video), positions, positions), np.float32)
    for index, (v, s) in enumerate(zip(video, start, strict=True)):
        window = units[v][s : s + span : step]
        maps[index] = window @ window.T
    return maps


def satisfies_assumption(maps: Float[np.ndarray, "windows positions positions"]) -> np.ndarray:
    """Return for each window whether "only adjacent features are similar, distant ones distinct": booleans [windows].

    That is, whether its pairs nearer than half the window are more similar on average than those farther apart.
    """
    n = maps.shape[1]
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    near, far = (distance > 0) & (distance < n / 2), distance >= n / 2
    satisfied: np.ndarray = maps[:, near].mean(axis=1) > maps[:, far].mean(axis=1)
    return satisfied


def variance_within(videos: Iterable[Video]) -> float:
    """Share of the variance of all snippets that lies within videos; 1 where there is none at all."""
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
    """Inspect the same videos through each of `views` (raw, centered, transformed, …)."""
    return {
        name: inspect([view(video) for video in videos], step=step, positions=positions, seed=seed)
        for name, view in views.items()
    }
