"""Checkpoints in the format of the authors are loaded, and others are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.gtad import published_state

from sola.core.errors import SolaError
from sola.detectors.gtad import checkpoint


def test_published_checkpoint_of_full_size_loads(saved: Callable[..., Path]) -> None:
    head = checkpoint.load(saved(published_state()))
    assert sum(p.numel() for p in head.parameters()) == 5_563_268


def test_checkpoint_of_another_network_is_refused(saved: Callable[..., Path]) -> None:
    state = published_state(8, projected=16)
    del state["regu_s.1.bias"]
    with pytest.raises(SolaError, match=r"lacks regu_s\.1\.bias; it has the unexpected head\.weight"):
        checkpoint.load(saved({**state, "head.weight": torch.zeros(1)}))


def test_checkpoint_with_other_bins_is_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(SolaError, match=r"\[16, 8192, 1, 1\], which is not 32 \+ 4 bins of 256"):
        checkpoint.load(saved(published_state(8, 32, projected=16)))


def test_checkpoint_whose_shapes_do_not_fit_is_refused(saved: Callable[..., Path]) -> None:
    state = published_state(8, projected=16) | {"regu_e.1.weight": torch.zeros(1, 64, 1)}
    with pytest.raises(SolaError, match=r"regu_e\.1\.weight is \[1, 64, 1\]"):
        checkpoint.load(saved(state))
