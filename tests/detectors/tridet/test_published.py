"""TriDet against the authors' program from a clone, and their layout of checkpoints."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.published_program import (
    Build,
    assert_same_segments,
    assert_same_step,
    double_precision,
    examples,
    program,
    published_losses,
)
from support.weights import noise, randomized
from torch import Tensor

from sola.core.errors import SolaError
from sola.detectors.tridet import checkpoint
from sola.detectors.tridet.loss import TriDetLoss
from sola.detectors.tridet.network import TriDet

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[dict[str, Tensor]], Path]:
    def save(state: dict[str, Tensor]) -> Path:
        torch.save({"epoch": 39, "state_dict": state}, tmp_path / "epoch_039.pth.tar")
        return tmp_path / "epoch_039.pth.tar"

    return save


def published_state(model: TriDet) -> dict[str, Tensor]:
    """The weights of a model under the published names."""
    levels = len(model.windows)
    blocks = {"stem": len(model.backbone.stem), "branch": levels - 1}
    names = checkpoint.published_names(levels, 2, blocks, checkpoint.HEADS, checkpoint.IN_BLOCK, {})
    for index in range(levels - 1):
        block = f"backbone.branch.{index}"
        names |= {f"{block}.{ours}": f"{block}.{theirs}" for ours, theirs in checkpoint.SCALES.items()}
    state = model.state_dict()
    scales = {f"reg_head.scale.{level}.scale": scale for level, scale in enumerate(state["offset_scale"])}
    return {theirs: state[ours] for ours, theirs in names.items()} | scales


def test_a_published_checkpoint_loads(saved: Callable[[dict[str, Tensor]], Path]) -> None:
    settings = {"width": 16, "length": 32, "windows": (1, 3, 3), "window_scale": 1.4, "hidden": 24, "bins": 4}
    model = TriDet(5, 3, head_width=12, head_kernel_size=5, boundary_kernel_size=1, **settings)
    randomized(model)
    state = published_state(model)
    loaded = checkpoint.load(saved(state), length=32)
    clip = noise(5, 20)
    for mine, theirs in zip(loaded(*loaded.collate([clip])).bins, model(*model.collate([clip])).bins, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert (loaded.bins, loaded.classes, loaded.windows) == (4, 3, (1, 3, 3))
    with pytest.raises(SolaError, match=r"it lacks start_head\.cls_head\.conv\.bias"):
        checkpoint.load(saved({name: one for name, one in state.items() if name != "start_head.cls_head.conv.bias"}))
    with pytest.raises(SolaError, match="not the weights of TriDet with these options"):
        checkpoint.load(saved(state), length=30)


@pytest.fixture
def published_program() -> Iterator[Build]:
    with program("SOLA_TRIDET_REFERENCE") as build:
        yield build


PUBLISHED = ("thumos_i3d", "anet_tsp", "hacs_slowfast", "epic_slowfast_verb")


def both(
    build: Build, saved: Callable[[dict[str, Tensor]], Path], name: str
) -> tuple[torch.nn.Module, TriDet, dict[str, Any]]:
    """The authors' network with random weights, and ours with the same."""
    theirs, config = build(name)
    randomized(theirs)
    with torch.no_grad():
        for head in (theirs.cls_head, theirs.start_head, theirs.end_head):
            head.cls_head.conv.weight.mul_(0.2)
    ours = checkpoint.load(
        saved(theirs.state_dict()),
        length=config["model"]["max_seq_len"],
        absolute_position=config["model"]["use_abs_pe"],
        ranges=[(float(low), float(high)) for low, high in config["model"]["regression_range"]],
        min_duration=config["test_cfg"]["duration_thresh"],
        candidates=config["test_cfg"]["pre_nms_topk"],
    )
    return theirs, ours, config


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_tridet_outputs_and_segments_equal_the_published_program(
    published_program: Build, saved: Callable[[dict[str, Tensor]], Path], name: str
) -> None:
    theirs, ours, _ = both(published_program, saved, name)
    clip = noise(ours.channels, 300)
    with torch.no_grad():
        features, masks = theirs.neck(*theirs.backbone(*theirs.preprocessing([{"feats": clip}])))
        got = ours(*ours.collate([clip]))
        for head, found in (
            (theirs.cls_head, got.logits),
            (theirs.start_head, got.starts),
            (theirs.end_head, got.ends),
            (theirs.reg_head, [one.flatten(2) for one in got.bins]),
        ):
            for expected, mine in zip(head(features, masks), found, strict=True):
                torch.testing.assert_close(mine, expected.transpose(1, 2), rtol=1e-5, atol=1e-5 * expected.abs().max())
        assert_same_segments(theirs, ours, got, clip)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_tridet_training_step_equals_the_published_program(
    published_program: Build,
    saved: Callable[[dict[str, Tensor]], Path],
    name: str,
) -> None:
    """In double precision, in which rounding does not move a unit across the bend of a ReLU."""
    theirs, ours, config = both(published_program, saved, name)
    for module in (*theirs.modules(), *ours.modules()):
        for attribute in ("drop_prob", "drop_path"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
    theirs.double().train()
    ours.double().train()
    clips, instances, labels = data = examples(ours.channels, theirs.num_classes)
    with double_precision():
        losses = published_losses(theirs, data)
    ours.criterion = TriDetLoss(
        overlap_power=config["model"]["iou_weight_power"],
        label_smoothing=config["train_cfg"]["label_smoothing"],
        normalizer=config["train_cfg"]["init_loss_norm"],
    )
    features, mask = ours.collate(clips)
    targets = ours.targets(instances, labels, features.shape[2])
    got = ours.criterion(ours(features, mask), targets)
    torch.testing.assert_close(got.classification.float(), losses["cls_loss"].float(), **CLOSE)
    torch.testing.assert_close(got.regression.float(), losses["reg_loss"].float(), **CLOSE)
    assert ours.criterion.normalizer.item() == pytest.approx(theirs.loss_normalizer, rel=1e-6)
    pairs = (
        (ours.backbone.convolutions[0], theirs.backbone.embd[0].conv),
        (ours.backbone.stem[0].wide, theirs.backbone.stem[0].convkw),
        (ours.backbone.branch[2].gate, theirs.backbone.branch[2].psi),
        (ours.backbone.branch[4].contraction, theirs.backbone.branch[4].mlp[2]),
        (ours.start_classifier.convolutions[0], theirs.start_head.head[0].conv),
        (ours.regressor.convolutions[2], theirs.reg_head.offset_head.conv),
    )
    assert_same_step(got.total, losses["final_loss"], (ours, theirs), pairs)
