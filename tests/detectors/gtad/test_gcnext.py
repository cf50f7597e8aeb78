"""The graph of nearest snippets, and the graph block, edge by edge."""

import pytest
import torch
from support.gtad import CLOSE, graph_in_loops, of_neighbors
from support.weights import noise
from torch import Tensor
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.detectors.gtad.gcnext import GCNeXt, gather_neighbors, nearest_neighbors


def test_neighbors_are_the_nearest_in_feature_space() -> None:
    x = noise(2, 5, 12)
    assert nearest_neighbors(x, 4).tolist() == graph_in_loops(x, 4)


def test_neighbors_are_computed_in_float32_under_autocast() -> None:
    x = noise(1, 8, 40) + 100
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nearest_neighbors(x, 3).tolist() == nearest_neighbors(x, 3).tolist()
        assert nearest_neighbors(x, 3)[..., 0].tolist() == [list(range(40))]


def test_gathered_neighbors_are_those_of_the_graph() -> None:
    x = noise(2, 5, 9)
    torch.testing.assert_close(gather_neighbors(x, nearest_neighbors(x, 3)), of_neighbors(x, 3))


def test_too_few_snippets_for_the_graph_are_refused() -> None:
    with pytest.raises(SolaError, match="clip of 2 snippets"):
        nearest_neighbors(torch.zeros(1, 4, 2), 3)


def block_by_definition(block: GCNeXt, x: Tensor) -> Tensor:
    """Process every edge separately: concat(neighbor, snippet), three layers, and the maximum over the edges."""
    k = block.neighbors
    edge = torch.cat([of_neighbors(x, k), x[..., None].expand(-1, -1, -1, k)], dim=1)
    grouped, last = block.semantic[1], block.semantic[3]
    s = F.conv2d(edge, block.edge.weight[..., None], block.edge.bias).relu()
    s = F.conv2d(s, grouped.weight[..., None], grouped.bias, groups=grouped.groups).relu()
    s = F.conv2d(s, last.weight[..., None], last.bias)
    return (block.temporal(x) + x + s.amax(-1)).relu()


@pytest.mark.parametrize("neighbors", [1, 3])
def test_graph_block_equals_its_definition_with_gradients(neighbors: int) -> None:
    torch.manual_seed(0)
    block = GCNeXt(8, neighbors=neighbors, groups=4, group_width=3)
    x = noise(2, 8, 11).requires_grad_()
    inputs = [x, *block.parameters()]
    got, expected = block(x), block_by_definition(block, x)
    torch.testing.assert_close(got, expected, **CLOSE)
    weight = noise(*got.shape, seed=1)
    for actual, reference in zip(
        torch.autograd.grad((got * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(actual, reference, **CLOSE)
