"""Sampling of map cells equals the sum of its entries, with gradients."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.detectors.proposal_map.sampling import LinearSampling

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def operators(draw: st.DrawFn) -> dict[str, Any]:
    sizes = {name: draw(st.integers(1, 5)) for name in ("cells", "samples", "length")}
    entry = st.tuples(*(st.integers(0, size - 1) for size in sizes.values()), st.integers(-8, 8).map(lambda n: n / 4))
    columns = np.array(draw(st.lists(entry, max_size=20))).reshape(-1, 4)
    index = {name: columns[:, at].astype(np.int64) for at, name in enumerate(("cell", "sample", "time"))}
    return {**sizes, **index, "weight": columns[:, 3].astype(np.float64)}


@PROPERTY
@given(operator=operators(), batch=st.integers(1, 3))
def test_sampling_is_the_sum_of_its_entries(operator: dict[str, Any], batch: int) -> None:
    sampling = LinearSampling(**operator)
    shape = batch, operator["samples"], operator["length"], 3
    projected = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(batch, operator["cells"], 3)
    for cell, sample, time, weight in zip(*(operator[n] for n in ("cell", "sample", "time", "weight")), strict=True):
        expected[:, cell] += weight * projected[:, sample, time]
    torch.testing.assert_close(sampling(projected), expected, atol=1e-5, rtol=0)


@PROPERTY
@given(operator=operators())
def test_the_gradient_of_sampling_equals_finite_differences(operator: dict[str, Any]) -> None:
    sampling = LinearSampling(**operator).double()
    shape = 2, operator["samples"], operator["length"], 2
    projected = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sampling, projected)


def test_dense_weights_sum_entries_of_the_same_place() -> None:
    cell, sample, time = np.array([1, 1, 0]), np.array([0, 0, 1]), np.array([2, 2, 0])
    sampling = LinearSampling(cell, sample, time, np.array([0.5, 0.25, 2.0]), cells=2, samples=2, length=3)
    expected = torch.zeros(2, 2, 3)
    expected[1, 0, 2], expected[0, 1, 0] = 0.75, 2.0
    assert torch.equal(sampling.dense(), expected)


def test_an_entry_outside_the_map_is_refused() -> None:
    index = np.array([1])
    with pytest.raises(SolaError, match="sample of an entry"):
        LinearSampling(index, index, index, np.ones(1), cells=2, samples=1, length=2)


def test_sampling_of_bfloat16_uses_float32_weights() -> None:
    twice, once = np.zeros(2, np.int64), np.arange(2)
    weight = np.array([1 + 2**-10, -1.0])  # the first rounds to 1 in bfloat16
    sampling = LinearSampling(twice, twice, once, weight, cells=1, samples=1, length=2)
    assert sampling(torch.ones(1, 1, 2, 1, dtype=torch.bfloat16)).item() == 2**-10
