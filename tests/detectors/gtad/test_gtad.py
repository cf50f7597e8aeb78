"""Gradients, targets and refused settings of G-TAD."""

import pytest
import torch
from support.weights import noise

from sola.core.errors import SolaError
from sola.detectors.gtad.network import GTAD


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_every_weight_has_a_gradient(kernel_size: int) -> None:
    torch.manual_seed(0)
    head = GTAD(8, 9, projected=16, kernel_size=kernel_size)
    prediction = head(noise(2, 8, 9))
    (prediction.confidence.sum() + prediction.start.sum() + prediction.end.sum()).backward()
    still = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_clips_of_another_length_are_refused() -> None:
    with pytest.raises(SolaError, match=r"\(8, 12\) .* built for \(8, 9\)"):
        GTAD(8, 9, projected=16)(noise(1, 8, 12))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 6}, "channels=6"),
        ({"length": 2}, "length=2"),
        ({"kernel_size": 2}, "kernel_size=2"),
        ({"max_duration": 10}, "max_duration=10"),
        ({"context_bins": -1}, "bins=-1"),
        ({"bins": 1025}, "bins=1025"),
        ({"anchor": (1.0, 0.0)}, "anchor"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, message: str) -> None:
    with pytest.raises(SolaError, match=message):
        GTAD(**{"channels": 8, "length": 9, **values})


def test_targets_use_the_map_and_the_anchor() -> None:
    head = GTAD(8, 6, projected=16)
    targets = head.targets([torch.tensor([[1.0, 4.0]])], [], 6)
    assert targets.iou[0, 2, 1] == 1
    # the region of the start is [-.5, 2.5], and the anchor of snippet 2 is [1.5, 3.5]
    assert targets.start[0, 2] == 0.5
