"""TemporalMaxer against the authors' program from a clone, and their layout of checkpoints."""

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
    published = {theirs: state[ours] for ours, theirs in names.items()} | scales
    loaded = checkpoint.load(saved(published), length=32)
    batch = model.collate([noise(5, 20)])
    for mine, theirs in zip(loaded(*batch).offsets, model(*batch).offsets, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert (loaded.normalization, loaded.classes) == (normalization, 3)
    with pytest.raises(SolaError, match=r"it lacks reg_head\.norm\.0\.bias"):
        checkpoint.load(saved({name: one for name, one in published.items() if name != "reg_head.norm.0.bias"}))


@pytest.fixture
def published_program() -> Iterator[Build]:
    with program("SOLA_TEMPORALMAXER_REFERENCE") as build:
        yield build


PUBLISHED = ("thumos_i3d", "multithumos_i3d", "epic_slowfast_verb", "epic_slowfast_noun")


def both(build: Build, saved: Callable[[dict[str, Tensor]], Path], name: str) -> tuple[torch.nn.Module, TemporalMaxer]:
    """The authors' network with random weights, and ours with the same."""
    theirs, config = build(f"temporalmaxer_{name}")
    randomized(theirs)
    with torch.no_grad():
        theirs.cls_head.cls_head.conv.weight.mul_(0.2)
    ours = checkpoint.load(
        saved(theirs.state_dict()),
        length=config["model"]["max_seq_len"],
        ranges=[(float(low), float(high)) for low, high in config["model"]["regression_range"]],
        min_duration=config["test_cfg"]["duration_thresh"],
        candidates=config["test_cfg"]["pre_nms_topk"],
    )
    ours.criterion.normalizer.fill_(config["train_cfg"]["init_loss_norm"])
    return theirs, ours


@pytest.mark.slow
@pytest.mark.parametrize("snippets", [300, 2400])
@pytest.mark.parametrize("name", PUBLISHED)
def test_temporal_maxer_outputs_and_segments_equal_the_published_program(
    published_program: Build, saved: Callable[[dict[str, Tensor]], Path], name: str, snippets: int
) -> None:
    theirs, ours = both(published_program, saved, name)
    clip = noise(ours.channels, snippets)
    with torch.no_grad():
        features, masks = theirs.neck(*theirs.backbone(*theirs.preprocessing([{"feats": clip}])))
        got = ours(*ours.collate([clip]))
        for head, found in ((theirs.cls_head, got.logits), (theirs.reg_head, got.offsets)):
            for level, (expected, mine) in enumerate(zip(head(features, masks), found, strict=True)):
                points = -(-snippets // 2**level)
                atol = 1e-5 * float(expected.abs().max())
                torch.testing.assert_close(mine[0, :points], expected[0, :, :points].T, rtol=1e-5, atol=atol)
        assert_same_segments(theirs, ours, got, clip)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_temporal_maxer_training_step_equals_the_published_program(
    published_program: Build,
    saved: Callable[[dict[str, Tensor]], Path],
    name: str,
) -> None:
    """In double precision, in which rounding does not move a unit across the bend of a ReLU."""
    theirs, ours = both(published_program, saved, name)
    theirs.double().train()
    ours.double().train()
    clips, instances, labels = data = examples(ours.channels, theirs.num_classes)
    with double_precision():
        losses = published_losses(theirs, data)
    features, mask = ours.collate(clips)
    targets = ours.targets(instances, labels, features.shape[2])
    total = ours.loss(ours(features, mask), targets, torch.Generator())
    assert total.item() == pytest.approx(losses["final_loss"].item(), rel=1e-6)
    assert ours.criterion.normalizer.item() == pytest.approx(theirs.loss_normalizer, rel=1e-6)
    pairs = (
        (ours.backbone.convolutions[0], theirs.backbone.embd[0].conv),
        (ours.backbone.convolutions[-1], theirs.backbone.embd[-1].conv),
        (ours.classifier.convolutions[0], theirs.cls_head.head[0].conv),
        (ours.regressor.convolutions[2], theirs.reg_head.offset_head.conv),
    )
    assert_same_step(total, losses["final_loss"], (ours, theirs), pairs)
