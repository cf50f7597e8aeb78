"""Compare TriDet with a clone of the authors' code, and load their checkpoint format."""

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
    """Return the weights of a model by published name."""
    levels = len(model.windows)
    blocks = {"stem": len(model.backbone.stem), "branch": levels - 1}
    names = checkpoint.published_names(levels, 2, blocks, checkpoint.HEADS, checkpoint.IN_BLOCK, {})
    for index in range(levels - 1):
        block = f"backbone.branch.{index}"
        names |= {f"{block}.{name}": f"{block}.{published}" for name, published in checkpoint.SCALES.items()}
    state = model.state_dict()
    scales = {f"reg_head.scale.{level}.scale": scale for level, scale in enumerate(state["offset_scale"])}
    return {published: state[name] for name, published in names.items()} | scales


def test_a_published_checkpoint_loads(saved: Callable[[dict[str, Tensor]], Path]) -> None:
    settings = {"width": 16, "length": 32, "windows": (1, 3, 3), "window_scale": 1.4, "hidden": 24, "bins": 4}
    model = TriDet(5, 3, head_width=12, head_kernel_size=5, boundary_kernel_size=1, **settings)
    randomized(model)
    state = published_state(model)
    loaded = checkpoint.load(saved(state), length=32)
    clip = noise(5, 20)
    for actual, expected in zip(loaded(*loaded.collate([clip])).bins, model(*model.collate([clip])).bins, strict=True):
        torch.testing.assert_close(actual, expected)
    assert (loaded.bins, loaded.classes, loaded.windows) == (4, 3, (1, 3, 3))
    with pytest.raises(SolaError, match=r"it lacks start_head\.cls_head\.conv\.bias"):
        checkpoint.load(
            saved({name: value for name, value in state.items() if name != "start_head.cls_head.conv.bias"})
        )
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
    """Return the authors' network with random weights, and a model with the same weights."""
    reference, config = build(name)
    randomized(reference)
    with torch.no_grad():
        for head in (reference.cls_head, reference.start_head, reference.end_head):
            head.cls_head.conv.weight.mul_(0.2)
    model = checkpoint.load(
        saved(reference.state_dict()),
        length=config["model"]["max_seq_len"],
        absolute_position=config["model"]["use_abs_pe"],
        ranges=[(float(low), float(high)) for low, high in config["model"]["regression_range"]],
        min_duration=config["test_cfg"]["duration_thresh"],
        candidates=config["test_cfg"]["pre_nms_topk"],
    )
    return reference, model, config


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_tridet_outputs_and_segments_equal_the_published_program(
    published_program: Build, saved: Callable[[dict[str, Tensor]], Path], name: str
) -> None:
    reference, model, _ = both(published_program, saved, name)
    clip = noise(model.channels, 300)
    with torch.no_grad():
        features, masks = reference.neck(*reference.backbone(*reference.preprocessing([{"feats": clip}])))
        got = model(*model.collate([clip]))
        for head, result in (
            (reference.cls_head, got.logits),
            (reference.start_head, got.starts),
            (reference.end_head, got.ends),
            (reference.reg_head, [level.flatten(2) for level in got.bins]),
        ):
            for expected, actual in zip(head(features, masks), result, strict=True):
                torch.testing.assert_close(
                    actual, expected.transpose(1, 2), rtol=1e-5, atol=1e-5 * expected.abs().max()
                )
        assert_same_segments(reference, model, got, clip)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_tridet_training_step_equals_the_published_program(
    published_program: Build,
    saved: Callable[[dict[str, Tensor]], Path],
    name: str,
) -> None:
    """Use float64, so that rounding does not change the sign of a ReLU input."""
    reference, model, config = both(published_program, saved, name)
    for module in (*reference.modules(), *model.modules()):
        for attribute in ("drop_prob", "drop_path"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
    reference.double().train()
    model.double().train()
    clips, instances, labels = data = examples(model.channels, reference.num_classes)
    with double_precision():
        losses = published_losses(reference, data)
    model.criterion = TriDetLoss(
        overlap_power=config["model"]["iou_weight_power"],
        label_smoothing=config["train_cfg"]["label_smoothing"],
        normalizer=config["train_cfg"]["init_loss_norm"],
    )
    features, mask = model.collate(clips)
    targets = model.targets(instances, labels, features.shape[2])
    got = model.criterion(model(features, mask), targets)
    torch.testing.assert_close(got.classification.float(), losses["cls_loss"].float(), **CLOSE)
    torch.testing.assert_close(got.regression.float(), losses["reg_loss"].float(), **CLOSE)
    assert model.criterion.normalizer.item() == pytest.approx(reference.loss_normalizer, rel=1e-6)
    pairs = (
        (model.backbone.convolutions[0], reference.backbone.embd[0].conv),
        (model.backbone.stem[0].wide, reference.backbone.stem[0].convkw),
        (model.backbone.branch[2].gate, reference.backbone.branch[2].psi),
        (model.backbone.branch[4].contraction, reference.backbone.branch[4].mlp[2]),
        (model.start_classifier.convolutions[0], reference.start_head.head[0].conv),
        (model.regressor.convolutions[2], reference.reg_head.offset_head.conv),
    )
    assert_same_step(got.total, losses["final_loss"], (model, reference), pairs)
