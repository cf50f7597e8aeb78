"""Checkpoints of the published programs of BMN are loaded, and others are refused."""

from pathlib import Path

import pytest
import torch
from support.boundary_matching import dense_mask
from torch import Tensor

from sola.core.errors import SolaError
from sola.detectors.bmn import checkpoint
from sola.detectors.proposal_map.map import ProposalMap

REFERENCE_LAYERS = {
    "x_1d_b.0.weight": (256, 100, 3),
    "x_1d_b.0.bias": (256,),
    "x_1d_b.2.weight": (256, 64, 3),
    "x_1d_b.2.bias": (256,),
    "x_1d_s.0.weight": (256, 64, 3),
    "x_1d_s.0.bias": (256,),
    "x_1d_s.2.weight": (1, 256, 1),
    "x_1d_s.2.bias": (1,),
    "x_1d_e.0.weight": (256, 64, 3),
    "x_1d_e.0.bias": (256,),
    "x_1d_e.2.weight": (1, 256, 1),
    "x_1d_e.2.bias": (1,),
    "x_1d_p.0.weight": (256, 256, 3),
    "x_1d_p.0.bias": (256,),
    "x_3d_p.0.weight": (512, 256, 32, 1, 1),
    "x_3d_p.0.bias": (512,),
    "x_2d_p.0.weight": (128, 512, 1, 1),
    "x_2d_p.0.bias": (128,),
    "x_2d_p.2.weight": (128, 128, 3, 3),
    "x_2d_p.2.bias": (128,),
    "x_2d_p.4.weight": (128, 128, 3, 3),
    "x_2d_p.4.bias": (128,),
    "x_2d_p.6.weight": (2, 128, 1, 1),
    "x_2d_p.6.bias": (2,),
}
"""Layers of both programs with 400 channels. They also save `sample_mask` [T, 32·T·T], and mmaction2 `bm_mask`."""


def reference_weights(length: int, layout: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=generator) / 100 for name, shape in REFERENCE_LAYERS.items()}
    mask = dense_mask(length, layout, length, samples=32, points=3, context=0.5, end_inclusive=layout == "start_end")
    return {"sample_mask": mask.flatten(1), **weights}


@pytest.mark.parametrize("layout", ["start_end", "duration_start"])
def test_a_published_checkpoint_loads_with_the_settings_of_its_program(layout: str, tmp_path: Path) -> None:
    weights = reference_weights(5, layout)
    if layout == "duration_start":
        weights["bm_mask"] = torch.ones(5, 5)
    prefix = "module." if layout == "start_end" else ""
    state = {f"{prefix}{name}": value for name, value in weights.items()}
    torch.save({"epoch": 9, "state_dict": state}, tmp_path / "bmn.pth.tar")
    head = checkpoint.load(tmp_path / "bmn.pth.tar")
    assert head.proposals == ProposalMap(5, None, layout)
    assert head.anchor == ((-0.5, 0.5) if layout == "start_end" else (-0.5, 1.5))
    assert head.candidates_only == (layout == "duration_start")
    assert not head.final_boundary
    assert not head.training
    for layer, name in (
        (head.base[0], "x_1d_b.0"),
        (head.start[2], "x_1d_s.2"),
        (head.end[2], "x_1d_e.2"),
        (head.reduce[0], "x_1d_p.0"),
        (head.matching.conv, "x_3d_p.0"),
        (head.confidence[6], "x_2d_p.6"),
    ):
        assert torch.equal(layer.weight, weights[f"{name}.weight"])
        assert torch.equal(layer.bias, weights[f"{name}.bias"])


@pytest.mark.parametrize("by_duration", [None, True])
def test_a_checkpoint_without_a_mask_loads_with_the_given_settings(by_duration: bool | None, tmp_path: Path) -> None:
    weights = reference_weights(5, "start_end")
    del weights["sample_mask"]
    torch.save(weights, tmp_path / "bmn.pth.tar")
    head = checkpoint.load(tmp_path / "bmn.pth.tar", length=7, by_duration=by_duration)
    assert head.proposals == ProposalMap(7, None, "duration_start" if by_duration else "start_end")


def test_missing_and_unexpected_weights_are_named(tmp_path: Path) -> None:
    weights = reference_weights(3, "start_end")
    weights["extra.weight"] = weights.pop("x_1d_e.2.bias")
    torch.save(weights, tmp_path / "bmn.pth.tar")
    with pytest.raises(SolaError, match=r"bmn\.pth\.tar.*x_1d_e\.2\.bias.*extra\.weight"):
        checkpoint.load(tmp_path / "bmn.pth.tar")


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    weights = reference_weights(3, "start_end")
    weights["x_2d_p.4.weight"] = torch.zeros(128, 64, 3, 3)
    torch.save(weights, tmp_path / "bmn.pth.tar")
    with pytest.raises(SolaError, match=r"x_2d_p\.4\.weight is \[128, 64, 3, 3\]"):
        checkpoint.load(tmp_path / "bmn.pth.tar")


def test_a_checkpoint_with_another_sampling_is_refused(tmp_path: Path) -> None:
    torch.save(reference_weights(3, "start_end"), tmp_path / "bmn.pth.tar")
    with pytest.raises(SolaError, match=r"sample_mask.*context 0\.25"):
        checkpoint.load(tmp_path / "bmn.pth.tar", context=0.25)
