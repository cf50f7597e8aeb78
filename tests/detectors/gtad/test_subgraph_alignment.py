"""Subgraph alignment equals aligning every cell of the map and a 1×1 convolution."""

import numpy as np
import pytest
import torch
from support.gtad import CLOSE, align, aligned_map, regions_of
from support.weights import noise
from torch.nn import functional as F

from sola.detectors.gtad.alignment import SubgraphAlignment
from sola.detectors.gtad.network import GTAD


@pytest.mark.parametrize(
    ("length", "channels", "hidden", "bins", "context_bins"), [(7, 6, 5, 4, 2), (100, 4, 6, 32, 4)]
)
def test_alignment_equals_align_then_convolve_with_gradients(
    length: int, channels: int, hidden: int, bins: int, context_bins: int
) -> None:
    torch.manual_seed(0)
    regions = list(dict.fromkeys(regions_of(length, length)))  # [0, 0] once
    start, end = np.array(regions).T
    layer = SubgraphAlignment(channels, hidden, start, end, length=length, bins=bins, context_bins=context_bins)
    x = noise(2, channels, length).requires_grad_()
    got = layer(x)

    weight = torch.cat([layer.weight, layer.context_weight]).permute(1, 2, 0).flatten(1)
    expected = F.conv1d(aligned_map(x, regions, bins, context_bins, 3), weight[..., None], layer.bias).transpose(1, 2)
    torch.testing.assert_close(got, expected, **CLOSE)
    # a mean over the cells, like a loss
    factor = noise(*got.shape, seed=1) / len(regions)
    inputs = [x, *layer.parameters()]
    for actual, reference in zip(
        torch.autograd.grad((got * factor).sum(), inputs),
        torch.autograd.grad((expected * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(actual, reference, **CLOSE)


def test_alignment_without_context_bins_uses_only_the_region() -> None:
    layer = SubgraphAlignment(4, 3, np.array([0.0]), np.array([6.0]), length=8, bins=3, context_bins=0)
    x = noise(1, 4, 8)
    expected = F.conv1d(
        align(x, [(0.0, 6.0)], 3).transpose(2, 3).flatten(1, 2), layer.weight.permute(1, 2, 0).flatten(1)[..., None]
    )
    torch.testing.assert_close(layer(x), expected.transpose(1, 2) + layer.bias, **CLOSE)


def test_alignment_of_half_precision_inputs_sums_in_float32() -> None:
    start, end = np.array(regions_of(12, 12)).T
    layer = SubgraphAlignment(8, 6, start, end, length=12)
    x = noise(1, 8, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = layer(x)
    torch.testing.assert_close(got.float(), layer(x), rtol=0.02, atol=0.02)


def test_regions_up_to_the_end_unit_affect_only_the_map() -> None:
    """Regions of OpenTAD extend to s + d + 1, which affects only the map."""
    torch.manual_seed(0)
    actual = GTAD(8, 6, projected=16, end_inclusive=True)
    start, end = np.array(regions_of(6, 6, end_inclusive=True)).T
    same = SubgraphAlignment(256, 16, start, end, length=6)
    same.load_state_dict(actual.alignment.state_dict())
    x = noise(1, 256, 6)
    torch.testing.assert_close(actual.alignment(x)[:, actual.cell], same(x), **CLOSE)


def test_alignment_is_initialized_like_a_linear_layer() -> None:
    torch.manual_seed(0)
    layer = SubgraphAlignment(16, 50, np.zeros(1), np.ones(1), length=4)
    linear = torch.nn.Linear(16 * 36, 50)
    for weight in (layer.weight, layer.context_weight):
        assert weight.std().item() == pytest.approx(linear.weight.std().item(), rel=0.05)
    assert layer.bias.abs().max() <= (16 * 36) ** -0.5
