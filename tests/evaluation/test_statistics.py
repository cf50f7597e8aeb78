import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.evaluation.statistics import (
    average_precision,
    bootstrap_weights,
    holm,
    ordered_pairs,
    paired_difference,
    roc_auc,
    smallest_p,
    summarize,
    weighted_auc,
)


def pairs_oracle(score, positive, unit, units):
    counts = np.zeros((units, units))
    for i in range(len(score)):
        for j in range(len(score)):
            if positive[i] and not positive[j]:
                counts[unit[i], unit[j]] += 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
    return counts


def scene(seed, snippets, units, levels=None):
    generator = np.random.default_rng(seed)
    score = generator.normal(size=snippets) if levels is None else generator.integers(levels, size=snippets) * 1.0
    return score, generator.random(snippets) < 0.4, generator.integers(units, size=snippets)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 150), st.integers(1, 6), st.sampled_from([None, 1, 3, 40]))
def test_ordered_pairs_match_a_double_loop(seed, snippets, units, levels):
    score, positive, unit = scene(seed, snippets, units, levels)
    np.testing.assert_array_equal(
        ordered_pairs(score, positive, unit, units), pairs_oracle(score, positive, unit, units)
    )


def roc_auc_oracle(positive, score):
    wins = [1.0 if high > low else 0.5 if high == low else 0.0 for high in score[positive] for low in score[~positive]]
    return sum(wins) / len(wins)


def average_precision_oracle(positive, score):
    """Sum over distinct scores, in descending order, of the gain in recall times the precision."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        taken = score >= threshold
        hits = sum(positive[taken].tolist())
        total += (hits / sum(positive.tolist()) - recall) * hits / len(score[taken])
        recall = hits / sum(positive.tolist())
    return total


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 120), st.sampled_from([None, 1, 3, 40]))
def test_roc_auc_and_average_precision_match_plain_loops(seed, snippets, levels):
    score, positive, _ = scene(seed, snippets, 1, levels)
    positive[:2] = True, False
    assert roc_auc(positive, score) == pytest.approx(roc_auc_oracle(positive, score), abs=1e-12)
    assert average_precision(positive, score) == pytest.approx(average_precision_oracle(positive, score), abs=1e-12)


def test_roc_auc_and_average_precision_need_positives():
    nothing = np.zeros(3, dtype=bool)
    with pytest.raises(ValueError, match="positives and negatives"):
        roc_auc(nothing, np.arange(3.0))
    with pytest.raises(ValueError, match="needs a positive"):
        average_precision(nothing, np.arange(3.0))


def test_weighted_auc_equals_the_auc_of_repeated_videos():
    score, positive, unit = scene(0, 400, 5, levels=30)
    weights = np.array([[1, 1, 1, 1, 1], [0, 3, 1, 0, 1], [2, 0, 0, 2, 1]])
    positives, negatives = np.bincount(unit[positive]), np.bincount(unit[~positive])
    found = weighted_auc(ordered_pairs(score, positive, unit, 5), positives, negatives, weights)
    for w, auc in zip(weights, found, strict=True):
        repeated = np.repeat(np.arange(400), w[unit])
        assert auc == pytest.approx(roc_auc(positive[repeated], score[repeated]), abs=1e-12)


def test_weighted_auc_does_not_depend_on_its_slices():
    score, positive, unit = scene(1, 300, 4)
    pairs = ordered_pairs(score, positive, unit, 4)
    positives, negatives = np.bincount(unit[positive]), np.bincount(unit[~positive])
    weights = bootstrap_weights(positives, negatives, replicates=2500)
    whole = weighted_auc(pairs, positives, negatives, weights)
    single = weighted_auc(pairs, positives, negatives, weights[2100:2101])
    assert whole[2100] == pytest.approx(single[0], abs=1e-14)


def test_bootstrap_draws_all_counts_and_is_reproducible():
    counts = np.array([3, 2, 4, 1])
    weights = bootstrap_weights(counts, counts, replicates=4000, seed=3)
    assert (weights.sum(axis=1) == 4).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.06)
    np.testing.assert_array_equal(weights, bootstrap_weights(counts, counts, replicates=4000, seed=3))


def test_replicates_without_positives_or_negatives_are_redrawn():
    weights = bootstrap_weights(np.array([5, 0]), np.array([0, 7]), replicates=200)
    np.testing.assert_array_equal(weights, 1)


def test_bootstrap_needs_positives_and_negatives():
    with pytest.raises(SolaError, match="both action and background"):
        bootstrap_weights(np.array([5, 3]), np.array([0, 0]))


def test_p_of_a_row_against_itself_is_one():
    replicates = np.random.default_rng(0).normal(size=500)
    same = paired_difference(0.0, replicates, replicates, units=100)
    assert (same.p, same.low, same.high) == (1.0, 0.0, 0.0)


def test_p_counts_the_replicates_on_the_other_side_plus_one():
    difference = np.concatenate((np.full(95, 0.1), np.full(4, -0.1)))
    assert paired_difference(0.1, difference, np.zeros(99), units=100).p == pytest.approx(2 * 5 / 100)
    assert paired_difference(-0.1, -difference, np.zeros(99), units=100).p == pytest.approx(2 * 5 / 100)
    assert paired_difference(0.1, np.full(99, 0.1), np.zeros(99), units=100).p == pytest.approx(2 / 100)


def test_interval_covers_ninety_five_percent():
    difference = paired_difference(0.5, np.linspace(0, 1, 2001), np.zeros(2001), units=100)
    assert (difference.low, difference.high) == pytest.approx((0.025, 0.975))


def test_p_has_a_lower_limit_for_few_videos():
    sure = np.full(9999, 0.2)
    assert paired_difference(0.2, sure, np.zeros(9999), units=1).p == 1.0
    assert paired_difference(0.2, sure, np.zeros(9999), units=5).p == smallest_p(5) == 2 / 2**5


def test_p_is_uniform_under_the_null():
    generator = np.random.default_rng(0)
    rejected = 0
    for _ in range(200):
        units = np.repeat(np.arange(40), 10)
        positive = generator.random(400) < 0.5
        shared = positive + generator.normal(size=400)
        positives, negatives = (np.bincount(units[kind], minlength=40) for kind in (positive, ~positive))
        weights = bootstrap_weights(positives, negatives, replicates=300, seed=int(generator.integers(2**31)))
        one, other = (
            weighted_auc(
                ordered_pairs(shared + generator.normal(size=400), positive, units, 40), positives, negatives, weights
            )
            for _ in range(2)
        )
        rejected += paired_difference(0.0, one, other, units=40).p < 0.05
    assert 2 <= rejected <= 22  # 10 expected


def test_holm_equals_values_computed_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    corrected = holm(p)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if not p[index] * (len(p) - rank) < level:
                break
            rejected.add(index)
        assert {index for index, value in enumerate(corrected) if value < level} == rejected


def test_a_summary_has_the_mean_the_deviation_and_the_values():
    summary = summarize([1.0, 2.0, 4.0])
    assert summary.mean == pytest.approx(7 / 3)
    assert summary.std == pytest.approx(np.sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2))
    assert summarize([0.1]).std == 0.0
    assert msgspec.json.decode(msgspec.json.encode(summarize([0.1] * 3))) == {
        "mean": 0.1,
        "std": 0.0,
        "values": [0.1, 0.1, 0.1],
    }
