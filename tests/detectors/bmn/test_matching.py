"""Boundary matching is sampling of every cell followed by a convolution."""

from typing import Any

import pytest
import torch
from support.boundary_matching import definition, dense_mask

from sola.core.errors import SolaError
from sola.detectors.bmn.matching import BoundaryMatching
from sola.detectors.proposal_map.map import ProposalMap


@pytest.mark.parametrize(
    ("length", "longest", "layout", "end_inclusive", "channels"),
    [
        (7, 7, "duration_start", False, 5),
        (7, 7, "start_end", True, 5),
        (9, 4, "duration_start", True, 5),
        (9, 4, "start_end", False, 5),
        (1, 1, "duration_start", False, 5),
        (100, 100, "duration_start", False, 4),
    ],
)
def test_boundary_matching_is_sampling_then_convolution(
    length: int, longest: int, layout: Any, end_inclusive: bool, channels: int
) -> None:
    """Compare outputs, and gradients of features, weights and biases."""
    geometry: dict[str, Any] = {"samples": 8, "points": 3, "context": 0.5, "end_inclusive": end_inclusive}
    if length == 100:
        geometry["samples"] = 32
    proposals = ProposalMap(length, longest, layout)
    layer = BoundaryMatching(channels, 6, proposals, **geometry)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, channels, length, generator=generator, requires_grad=True)
    valid = torch.from_numpy(proposals.valid)
    whole = definition(features, dense_mask(length, layout, longest, **geometry), layer.conv.weight, layer.conv.bias)
    expected = whole[:, :, valid].transpose(1, 2)
    got = layer(features)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert (whole[:, :, ~valid] == layer.absent()[:, None]).all()

    upstream = torch.randn(got.shape, generator=generator) / got[0].numel() ** 0.5
    inputs = features, layer.conv.weight, layer.conv.bias
    for actual, plain in zip(
        torch.autograd.grad(got, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(actual, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("values", [{"samples": 1, "points": 1}, {"points": 0}, {"context": -0.1}, {"hidden": 0}])
def test_invalid_matching_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SolaError):
        BoundaryMatching(**{"channels": 4, "hidden": 4, "proposals": ProposalMap(4), **values})
