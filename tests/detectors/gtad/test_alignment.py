"""Compare alignment weights with the rule of the published kernel in plain loops, and with values by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alignment_kernel import kernel

from sola.core.errors import SolaError
from sola.detectors.gtad.alignment import alignment_weights

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)


def dense(start, end, bins, length):
    """Return the weights as a dense array [region, bin, time]."""
    weights = alignment_weights(np.array(start, float), np.array(end, float), bins, length)
    full = np.zeros((len(start), bins, length))
    np.add.at(full, (weights.cell, weights.sample, weights.time), weights.weight)
    return full


ROW = np.arange(1.0, 11.0)


def test_a_region_over_the_whole_clip_with_one_bin_per_snippet_is_the_clip() -> None:
    np.testing.assert_allclose(dense([-0.5], [9.5], 10, 10)[0] @ ROW, ROW, atol=1e-12)


@PROPERTY
@given(
    regions=st.lists(st.tuples(st.floats(-20, 30), st.floats(-2, 40)), max_size=5),
    bins=st.integers(1, 8),
    length=st.integers(1, 12),
)
def test_weights_equal_the_kernel(regions: list[tuple[float, float]], bins: int, length: int) -> None:
    start, end = [s for s, _ in regions], [s + extent for s, extent in regions]
    got = dense(start, end, bins, length)
    expected = [kernel(s, e, bins, length) for s, e in zip(start, end, strict=True)]
    np.testing.assert_allclose(got, np.reshape(expected, got.shape), atol=1e-9)


@pytest.mark.parametrize(
    ("at", "expected"),
    [(-1.01, 0.0), (-1.0, 1.0), (-0.3, 1.0), (0.25, 1.25), (8.5, 9.5), (9.5, 10.0), (10.0, 10.0), (10.01, 0.0)],
)
def test_points_up_to_one_snippet_outside_the_clip_have_the_value_of_its_end(at: float, expected: float) -> None:
    # a region of length 1 with one bin has one point, at its center
    assert (dense([at - 0.5], [at + 0.5], 1, 10)[0] @ ROW).item() == pytest.approx(expected, abs=1e-9)


def test_an_empty_region_has_a_length_of_one_snippet() -> None:
    np.testing.assert_allclose(dense([0], [0], 4, 10)[0] @ ROW, [1.125, 1.375, 1.625, 1.875], atol=1e-12)


def test_region_outside_the_clip_has_no_entries() -> None:
    assert len(alignment_weights(np.array([50.0]), np.array([60.0]), 4, 10).weight) == 0


def test_no_bins_is_refused() -> None:
    with pytest.raises(SolaError, match="bins=0"):
        alignment_weights(np.zeros(1), np.ones(1), 0, 10)
