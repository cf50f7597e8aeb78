"""Similarity measures of section C compared with their definitions in plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.data.snippet_labels import unit_vectors
from sola.evaluation.similarity import (
    cosine_map,
    inspect,
    satisfies_assumption,
    similarity_by_distance,
    variance_within,
    window_maps,
)

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True)


def drawn(seed: int, lengths: list[int], channels: int = 3) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(length, channels)).astype(np.float16) for length in lengths]


def walk(length: int, seed: int = 0) -> np.ndarray:
    """Return a drifting video: snippets close in time are more similar."""
    return np.random.default_rng(seed).normal(size=(length, 8)).cumsum(axis=0).astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@PROPERTY
@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_similarity_by_distance_is_the_mean_over_pairs(seed: int, lengths: list[int]) -> None:
    videos = drawn(seed, lengths)
    curve = similarity_by_distance([unit_vectors(video) for video in videos])
    assert len(curve.distance) == (max(lengths) + 1) // 2
    for d, got in zip(curve.distance, curve.similarity, strict=True):
        pairs = [cosine(video[t], video[t + d]) for video in videos for t in range(len(video) - d)]
        assert got == pytest.approx(np.mean(pairs), abs=1e-5)


def test_cosine_map_has_all_pairs() -> None:
    (video,) = drawn(0, [6])
    got = cosine_map(video)
    for i in range(6):
        for j in range(6):
            assert got[i, j] == pytest.approx(cosine(video[i], video[j]), abs=1e-5)


def test_window_maps_use_the_step() -> None:
    """If snippet t has angle t/20, similarity in any window is cos(step·|i-j|/20)."""
    angle = np.arange(60) / 20
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    maps = window_maps([unit], 3, 5, 4, np.random.default_rng(0))
    distance = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    assert maps.shape == (4, 5, 5)
    np.testing.assert_allclose(maps, np.broadcast_to(np.cos(3 * distance / 20), maps.shape), atol=1e-5)


def test_the_assumption_compares_near_and_distant_pairs() -> None:
    distance = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    falling, rising = 1 - distance / 8, distance / 8
    assert satisfies_assumption(np.stack([falling, rising]).astype(np.float32)).tolist() == [True, False]


def test_noise_satisfies_the_assumption_by_chance_and_drift_does() -> None:
    noise = inspect(drawn(0, [200] * 20, channels=16), step=2)
    drift = inspect([walk(200, seed) for seed in range(20)], step=2)
    assert noise.assumption.share == pytest.approx(0.5, abs=0.12)
    assert drift.assumption.share.min() > 0.8


def test_windows_over_repeated_actions_do_not_satisfy_the_assumption() -> None:
    """Section C: alternating every 10 snippets satisfies it in windows of 8, but not in windows of 50 or more."""
    generator = np.random.default_rng(0)
    state = np.where((np.arange(400) // 10) % 2, 1.0, -1.0)
    videos = [np.outer(state, generator.normal(size=8)) + 0.1 * generator.normal(size=(400, 8)) for _ in range(5)]
    found = inspect(videos, step=1, windows_per_video=100).assumption
    share = dict(zip(found.length.tolist(), found.share.tolist(), strict=True))
    assert share[8] > 0.65
    assert share[57] < 0.6


@PROPERTY
@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_variance_within_matches_the_definition(seed: int, lengths: list[int]) -> None:
    videos = [video + i for i, video in enumerate(drawn(seed, lengths))]
    everything = np.concatenate(videos).astype(float)
    total = ((everything - everything.mean(axis=0)) ** 2).sum()
    within = sum(((video.astype(float) - video.astype(float).mean(axis=0)) ** 2).sum() for video in videos)
    expected = within / total if total > 0 else 1.0
    assert variance_within(videos) == pytest.approx(expected, abs=1e-6)


def test_videos_too_short_for_a_window_give_an_empty_curve() -> None:
    short = inspect(drawn(0, [5, 6]), step=2)
    assert len(short.windows.distance) == 0
    assert len(short.assumption.length) == 0


def test_the_same_seed_draws_the_same_windows() -> None:
    videos = drawn(0, [90, 80])
    one, other = (inspect(videos, step=4, seed=3).to_json() for _ in range(2))
    assert one == other
