"""Compare TemporalMaxer with a clone of the authors' code, and load their checkpoint format."""

from collections.abc import Callable, Iterator
from pathlib import Path

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
from sola.detectors.point_pyramid.checkpoint import OFFSET_HEADS, published_names
from sola.detectors.temporalmaxer import checkpoint
from sola.detectors.temporalmaxer.network import TemporalMaxer


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[dict[str, Tensor]], Path]:
    def save(state: dict[str, Tensor]) -> Path:
        torch.save({"epoch": 59, "state_dict": state}, tmp_path / "epoch_059.pth.tar")
        return tmp_path / "epoch_059.pth.tar"

    return save


@pytest.mark.parametrize("normalization", ["layer", "clip"])
def test_a_published_checkpoint_loads(saved: Callable[[dict[str, Tensor]], Path], normalization: str) -> None:
    settings = {"length": 32, "width": 16, "levels": 3, "convolutions": 3, "head_width": 12}
    model = randomized(TemporalMaxer(5, 3, normalization=normalization, **settings))
    state = model.state_dict()
    names = published_names(3 if normalization == "layer" else 0, 3, {}, OFFSET_HEADS, {}, {})
    scales = {f"reg_head.scale.{level}.scale": scale for level, scale in enumerate(state["offset_scale"])}
    published = {published_name: state[name] for name, published_name in names.items()} | scales
    loaded = checkpoint.load(saved(published), length=32)
    batch = model.collate([noise(5, 20)])
    for actual, expected in zip(loaded(*batch).offsets, model(*batch).offsets, strict=True):
        torch.testing.assert_close(actual, expected)
    assert (loaded.normalization, loaded.classes) == (normalization, 3)
    with pytest.raises(SolaError, match=r"it lacks reg_head\.norm\.0\.bias"):
        checkpoint.load(saved({name: value for name, value in published.items() if name != "reg_head.norm.0.bias"}))


@pytest.fixture
def published_program() -> Iterator[Build]:
    with program("SOLA_TEMPORALMAXER_REFERENCE") as build:
        yield build


PUBLISHED = ("thumos_i3d", "multithumos_i3d", "epic_slowfast_verb", "epic_slowfast_noun")


def both(build: Build, saved: Callable[[dict[str, Tensor]], Path], name: str) -> tuple[torch.nn.Module, TemporalMaxer]:
    """Return the authors' network with random weights, and a model with the same weights."""
    reference, config = build(f"temporalmaxer_{name}")
    randomized(reference)
    with torch.no_grad():
        reference.cls_head.cls_head.conv.weight.mul_(0.2)
    model = checkpoint.load(
        saved(reference.state_dict()),
        length=config["model"]["max_seq_len"],
        ranges=[(float(low), float(high)) for low, high in config["model"]["regression_range"]],
        min_duration=config["test_cfg"]["duration_thresh"],
        candidates=config["test_cfg"]["pre_nms_topk"],
    )
    model.criterion.normalizer.fill_(config["train_cfg"]["init_loss_norm"])
    return reference, model


@pytest.mark.slow
@pytest.mark.parametrize("snippets", [300, 2400])
@pytest.mark.parametrize("name", PUBLISHED)
def test_temporal_maxer_outputs_and_segments_equal_the_published_program(
    published_program: Build, saved: Callable[[dict[str, Tensor]], Path], name: str, snippets: int
) -> None:
    reference, model = both(published_program, saved, name)
    clip = noise(model.channels, snippets)
    with torch.no_grad():
        features, masks = reference.neck(*reference.backbone(*reference.preprocessing([{"feats": clip}])))
        got = model(*model.collate([clip]))
        for head, outputs in ((reference.cls_head, got.logits), (reference.reg_head, got.offsets)):
            for level, (expected, actual) in enumerate(zip(head(features, masks), outputs, strict=True)):
                points = -(-snippets // 2**level)
                atol = 1e-5 * float(expected.abs().max())
                torch.testing.assert_close(actual[0, :points], expected[0, :, :points].T, rtol=1e-5, atol=atol)
        assert_same_segments(reference, model, got, clip)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_temporal_maxer_training_step_equals_the_published_program(
    published_program: Build,
    saved: Callable[[dict[str, Tensor]], Path],
    name: str,
) -> None:
    """Use float64, so that rounding does not change the sign of a ReLU input."""
    reference, model = both(published_program, saved, name)
    reference.double().train()
    model.double().train()
    clips, instances, labels = data = examples(model.channels, reference.num_classes)
    with double_precision():
        losses = published_losses(reference, data)
    features, mask = model.collate(clips)
    targets = model.targets(instances, labels, features.shape[2])
    total = model.loss(model(features, mask), targets, torch.Generator())
    assert total.item() == pytest.approx(losses["final_loss"].item(), rel=1e-6)
    assert model.criterion.normalizer.item() == pytest.approx(reference.loss_normalizer, rel=1e-6)
    pairs = (
        (model.backbone.convolutions[0], reference.backbone.embd[0].conv),
        (model.backbone.convolutions[-1], reference.backbone.embd[-1].conv),
        (model.classifier.convolutions[0], reference.cls_head.head[0].conv),
        (model.regressor.convolutions[2], reference.reg_head.offset_head.conv),
    )
    assert_same_step(total, losses["final_loss"], (model, reference), pairs)
