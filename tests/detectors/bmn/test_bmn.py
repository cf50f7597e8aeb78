"""BMN equals the network of the paper in plain code, and learns the proposals of a clip."""

from typing import Any

import numpy as np
import pytest
import torch
from support.boundary_matching import definition, dense_mask, set_weights
from torch import Tensor

from sola.core.errors import SolaError
from sola.detectors.bmn.network import BMN


def small(**values: Any) -> BMN:
    sizes = {"hidden": 16, "proposal_channels": 12, "matching_channels": 24, "map_channels": 10, "samples": 8}
    head = BMN(8, **{"length": 11, **sizes, **values})
    set_weights(head, 0)
    return head


def plain_forward(head: BMN, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run the network as in the paper, with the weights of the head."""
    base = head.base(features)
    cells = definition(head.reduce(base), mask, head.matching.conv.weight, head.matching.conv.bias)
    return head.confidence(cells), head.start(base)[:, 0], head.end(base)[:, 0]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"layout": "start_end", "end_inclusive": True},
        {"max_duration": 4},
        {"max_duration": 4, "layout": "start_end"},
    ],
)
def test_head_equals_its_definition(values: dict[str, Any]) -> None:
    """Compare outputs on the whole map, and the gradient of every weight."""
    head = small(**values)
    mask = dense_mask(
        11,
        values.get("layout", "duration_start"),
        values.get("max_duration", 11),
        samples=8,
        points=3,
        context=0.5,
        end_inclusive=values.get("end_inclusive", False),
    )
    features = torch.randn(3, 8, 11, generator=torch.Generator().manual_seed(1))
    prediction = head(features)
    got = prediction.confidence, prediction.start, prediction.end
    expected = plain_forward(head, features, mask)
    weights = list(head.parameters())
    gradients = []
    for parts in (got, expected):
        upstream = [torch.randn(part.shape, generator=torch.Generator().manual_seed(2)) / 100 for part in parts]
        gradients.append(torch.autograd.grad(parts, weights, upstream))
    for actual, plain in zip((*got, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(actual, plain, atol=1e-5, rtol=1e-4)
    assert prediction.confidence.std() > 0.05


def test_defaults_are_those_of_the_paper() -> None:
    head = BMN(400)
    assert head.proposals.shape == (100, 100)
    assert tuple(head.reduce[0].weight.shape) == (128, 256, 3)
    assert tuple(head.matching.conv.weight.shape) == (512, 128, 32, 1, 1)


def test_the_state_dict_has_only_the_weights() -> None:
    head = small()
    assert set(head.state_dict()) == {name for name, _ in head.named_parameters()}


def test_outputs_with_bfloat16_autocast_are_close() -> None:
    head = small()
    features = torch.randn(2, 8, 11, generator=torch.Generator().manual_seed(1))
    exact = head(features).confidence
    with torch.autocast("cpu", torch.bfloat16):
        prediction = head(features)
    prediction.confidence.float().sum().backward()
    torch.testing.assert_close(prediction.confidence.float(), exact, atol=0.05, rtol=0)
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.slow
def test_head_learns_the_proposals_of_one_clip() -> None:
    torch.manual_seed(0)
    head, generator = small(length=16), torch.Generator().manual_seed(0)
    features = torch.randn(2, 8, 16, generator=generator)
    instances = [torch.tensor([[2.0, 9.0]]), torch.tensor([[0.0, 4.0], [8.0, 16.0]])]
    targets = head.targets(instances, [], 16)
    optimizer = torch.optim.Adam(head.parameters(), lr=2e-3)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(head(features), targets, generator).backward()
        optimizer.step()
    best = [
        (decoded.start[decoded.score.argmax()], decoded.end[decoded.score.argmax()])
        for decoded in head.decode(head(features))
    ]
    assert best[0] == (2.0, 9.0)
    assert best[1] in [(0.0, 4.0), (8.0, 16.0)]


def test_the_score_is_the_product_of_four_probabilities() -> None:
    head = small()
    prediction = head(torch.randn(1, 8, 11, generator=torch.Generator().manual_seed(3)))
    (decoded,) = head.decode(prediction)
    row = int(np.flatnonzero((decoded.start == 2) & (decoded.end == 6))[0])
    confidence = prediction.confidence[0, :, 3, 2]
    expected = confidence[0] * confidence[1] * prediction.start[0, 2] * prediction.end[0, 6]
    assert decoded.score[row] == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [{"channels": 6}, {"channels": 8, "hidden": 10}, {"channels": 8, "map_channels": 0}, {"anchor": (1.0, 0.0)}],
)
def test_invalid_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SolaError, match=list(values)[-1]):
        BMN(**{"channels": 8, "length": 4, **values})


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(SolaError, match=r"\(8, 12\).*\(8, 11\)"):
        small()(torch.zeros(1, 8, 12))
