"""Compare the convolution by matrix products with PyTorch's convolution."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.weights import noise
from torch.nn import functional as F

from sola.detectors.point_pyramid import convolution
from sola.detectors.point_pyramid.convolution import TemporalConvolution
from sola.detectors.point_pyramid.products import convolved_by_products


@settings(deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([1, 3, 5]),
    st.booleans(),
)
def test_products_equal_the_convolution_and_its_gradient(
    batch: int, time: int, channels: int, filters: int, kernel: int, biased: bool
) -> None:
    given = [noise(batch, time, channels), noise(filters, channels, kernel), noise(filters)]
    leaves = [[tensor.double().requires_grad_() for tensor in given] for _ in range(2)]
    (x, weight, bias), (x_too, weight_too, bias_too) = leaves
    got = convolved_by_products(x, weight, bias if biased else None)
    expected = F.conv1d(x_too.mT, weight_too, bias_too if biased else None, padding=kernel // 2).mT
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
    cotangent = noise(*got.shape, seed=1).double()
    got.backward(cotangent)
    expected.backward(cotangent)
    for mine, other in zip(*leaves, strict=True):
        if mine is not bias or biased:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-10, atol=1e-10)


def test_a_large_convolution_uses_products_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = TemporalConvolution(6, 5, 3), noise(2, 11, 6)
    mask = torch.arange(11) < torch.tensor([[11], [7]])
    expected = layer(x, mask)
    monkeypatch.setattr(convolution, "LARGE", 1)
    used = []
    monkeypatch.setattr(
        convolution, "convolved_by_products", lambda *args: used.append(1) or convolved_by_products(*args)
    )
    torch.testing.assert_close(layer(x, mask), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x, mask)
    assert used == [1], "in half precision PyTorch's is faster"
