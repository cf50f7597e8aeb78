"""Checkpoints in the format of the authors are loaded, and others are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.actionformer import published_shapes, published_state

from sola.core.errors import SolaError
from sola.detectors.actionformer import checkpoint


@pytest.mark.parametrize(("width", "classes", "channels"), [(512, 20, 2048), (256, 1, 512)])
def test_published_checkpoint_of_full_size_loads(
    saved: Callable[..., Path], width: int, classes: int, channels: int
) -> None:
    shapes = published_shapes(channels, width, classes)
    head = checkpoint.load(saved({name: torch.zeros(shape) for name, shape in shapes.items()}))
    assert (head.channels, head.classes) == (channels, classes)
    if width == 256:
        assert (head.windows, head.length, head.min_duration) == ((7, 7, 7, 7, 7, None), 192, 0.001)
        assert head.backbone.position is not None
    else:
        assert (head.windows, head.length, head.min_duration) == ((19,) * 6, 2304, 0.05)
        assert head.backbone.position is None


def test_averaged_weights_are_preferred(saved: Callable[..., Path]) -> None:
    state, averaged = published_state(6, 8, 3), published_state(6, 8, 3, seed=1)
    head = checkpoint.load(saved(state, state_dict_ema=averaged))
    assert torch.equal(
        head.offset_scale, torch.stack([averaged[f"reg_head.scale.{level}.scale"] for level in range(6)])
    )


def test_checkpoint_of_another_network_is_refused(saved: Callable[..., Path]) -> None:
    state = published_state(6, 8, 3)
    del state["backbone.stem.1.mlp.3.bias"]
    with pytest.raises(SolaError, match=r"lacks backbone\.stem\.1\.mlp\.3\.bias; it has the unexpected rel_pe"):
        checkpoint.load(saved({**state, "rel_pe": torch.zeros(1)}))


def test_checkpoint_of_something_else_is_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(SolaError, match=r"lacks .*; it has the unexpected fc\.weight"):
        checkpoint.load(saved({"fc.weight": torch.zeros(2, 3)}))


@pytest.mark.parametrize("name", ["backbone.embd.0.conv.weight", "neck.fpn_norms.3.bias", "reg_head.scale.2.scale"])
def test_checkpoint_whose_shapes_do_not_fit_is_refused(saved: Callable[..., Path], name: str) -> None:
    with pytest.raises(SolaError, match="epoch_034"):
        checkpoint.load(saved(published_state(6, 8, 3) | {name: torch.zeros(5, 7)}))


def test_other_number_of_windows_is_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(SolaError, match="the pyramid has 6 levels; pass 6 windows, not 2"):
        checkpoint.load(saved(published_state(6, 8, 3)), windows=(5, 5))
