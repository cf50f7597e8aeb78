"""Compare voting with its definition in plain loops."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.postprocess.voting import vote

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


def random_segments(seed: int, n: int, labels: int = 2) -> Segments:
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 4, n)
    return Segments(start, start + rng.uniform(1, 6, n), rng.integers(0, labels, n), rng.uniform(0, 1, n))


def plain(picks: Segments, candidates: Segments, iou: float, weight: str, class_aware: bool) -> list[list[float]]:
    voted = []
    for k in range(len(picks)):
        total, start, end = 0.0, 0.0, 0.0
        for c in range(len(candidates)):
            if class_aware and picks.label[k] != candidates.label[c]:
                continue
            inside = min(picks.end[k], candidates.end[c]) - max(picks.start[k], candidates.start[c])
            inside = max(0.0, inside)
            union = picks.end[k] - picks.start[k] + candidates.end[c] - candidates.start[c] - inside
            overlap = inside / union
            if overlap >= iou:
                share = candidates.score[c] * (overlap if weight == "score_iou" else 1.0)
                total += share
                start += share * candidates.start[c]
                end += share * candidates.end[c]
        voted.append([start / total, end / total] if total > 0 else [picks.start[k], picks.end[k]])
    return voted


@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    picks=st.integers(0, 6),
    others=st.integers(0, 30),
    iou=st.sampled_from([0.3, 0.7, 0.9]),
    weight=st.sampled_from(["score", "score_iou"]),
    class_aware=st.booleans(),
)
def test_voting_equals_a_plain_loop(
    seed: int, picks: int, others: int, iou: float, weight: Literal["score", "score_iou"], class_aware: bool
) -> None:
    some, many = random_segments(seed, picks), random_segments(seed + 1, others)
    got = vote(some, many, iou=iou, weight=weight, class_aware=class_aware)
    expected = np.array(plain(some, many, iou, weight, class_aware)).reshape(-1, 2)
    np.testing.assert_allclose(np.stack([got.start, got.end], 1), expected, rtol=1e-9)


def test_scores_and_labels_do_not_change() -> None:
    picks = random_segments(0, 5)
    got = vote(picks, random_segments(1, 30), iou=0.3)
    assert np.array_equal(got.score, picks.score)
    assert np.array_equal(got.label, picks.label)


def test_a_candidate_at_the_threshold_votes() -> None:
    picks = Segments(np.array([0.0]), np.array([4.0]), np.array([0]), np.array([0.5]))
    other = Segments(np.array([0.0]), np.array([2.0]), np.array([0]), np.array([0.5]))
    assert vote(picks, other, iou=0.5).end.tolist() == [2.0]


@pytest.mark.parametrize("iou", [0.0, 1.5, float("nan")])
def test_bad_threshold_is_reported(iou: float) -> None:
    with pytest.raises(SolaError, match=f"iou={iou}: expected a number in"):
        vote(Segments.empty(), Segments.empty(), iou=iou)


@pytest.mark.parametrize("score", [-0.1, float("nan")])
def test_bad_scores_are_reported(score: float) -> None:
    segment = Segments(np.array([0.0]), np.array([4.0]), np.array([0]), np.array([score]))
    with pytest.raises(SolaError, match="negative or not finite"):
        vote(segment, segment, iou=0.5)
