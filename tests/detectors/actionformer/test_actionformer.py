"""Blocks, padding and gradients of ActionFormer, and the settings that it refuses."""

import numpy as np
import pytest
import torch
from support.actionformer import CLOSE, small
from support.weights import noise
from torch import Tensor
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.detectors.actionformer.blocks import TransformerBlock
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.point_pyramid.backbone import sinusoid_positions
from sola.detectors.point_pyramid.loss import OffsetLoss


def test_positions_follow_the_formula_and_are_stretched() -> None:
    table = sinusoid_positions(5, 6)
    for t in range(5):
        for c in range(6):
            angle = t / 10000 ** (2 * (c // 2) / 6)
            assert table[t, c].item() == pytest.approx(np.cos(angle) if c % 2 else np.sin(angle), abs=1e-6)
    backbone = small(absolute_position=True).backbone
    stretched = backbone._positions(128)
    torch.testing.assert_close(stretched[1], 0.75 * backbone.position[0] + 0.25 * backbone.position[1])
    assert torch.equal(backbone._positions(64), backbone.position)


def at_snippets(head: ActionFormer, features: Tensor, mask: Tensor | None, clip: int, snippets: int) -> list[Tensor]:
    """Return the outputs of the head at the points of a clip."""
    prediction = head(features, mask)
    return [
        torch.cat([logits, offsets], dim=2)[clip, : -(-snippets // 2**level)]
        for level, (logits, offsets) in enumerate(zip(prediction.logits, prediction.offsets, strict=True))
    ]


def assert_same(first: list[Tensor], second: list[Tensor]) -> None:
    for level, (a, b) in enumerate(zip(first, second, strict=True)):
        torch.testing.assert_close(a, b, **CLOSE, msg=lambda text, level=level: f"level {level}: {text}")


@pytest.mark.parametrize("snippets", [1, 3, 31, 32, 33, 63, 64, 65, 200, 512, 600])
@pytest.mark.parametrize("windows", [(19,) * 6, (7, 7, 7, 7, 7, None)], ids=["local", "global"])
def test_outputs_with_shorter_padding_equal_those_with_published_padding(
    snippets: int, windows: tuple[int | None, ...]
) -> None:
    head = small(windows=windows, length=192)
    clip = noise(5, snippets)
    features, mask = head.collate([clip])
    step = 32 * 18 if windows[-1] else 16 * 6
    published = 192 if snippets <= 192 else -(-snippets // step) * step
    assert features.shape[2] <= published
    whole = F.pad(clip, (0, published - snippets))[None]
    present = torch.arange(published)[None] < snippets
    assert_same(at_snippets(head, features, mask, 0, snippets), at_snippets(head, whole, present, 0, snippets))


def test_the_output_for_a_clip_does_not_depend_on_the_batch() -> None:
    head, clips = small(), [noise(5, n, seed=n) for n in (7, 33, 50)]
    features, mask = head.collate(clips)
    for index, clip in enumerate(clips):
        alone = at_snippets(head, *head.collate([clip]), 0, clip.shape[1])
        assert_same(at_snippets(head, features, mask, index, clip.shape[1]), alone)


def test_values_in_the_padding_have_no_effect() -> None:
    head = small()
    features, mask = head.collate([noise(5, 40)])
    filled = features.masked_fill(~mask[:, None], torch.nan)
    assert_same(at_snippets(head, features, mask, 0, 40), at_snippets(head, filled, mask, 0, 40))


def test_clips_are_padded_to_a_multiple_of_the_stride() -> None:
    head, clip = small(), noise(1, 5, 40)
    prediction = head(clip)
    assert [x.shape[1] for x in prediction.logits] == [64, 32, 16, 8, 4, 2] == list(head.pyramid.lengths(40))
    assert [int(x.sum()) for x in prediction.masks] == [40, 20, 10, 5, 3, 2]
    assert_same(at_snippets(head, clip, None, 0, 40), at_snippets(head, *head.collate([clip[0]]), 0, 40))


def test_a_mask_of_ones_equals_no_mask() -> None:
    head, clip = small(), noise(1, 5, 64)
    whole = torch.ones(1, 64, dtype=torch.bool)
    assert_same(at_snippets(head, clip, None, 0, 64), at_snippets(head, clip, whole, 0, 64))


def test_empty_clips_are_refused() -> None:
    with pytest.raises(SolaError, match=r"clips of \[4, 0\] snippets"):
        small().collate([noise(5, 4), noise(5, 0)])


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(SolaError, match="features have 7 channels; this ActionFormer was built for 5"):
        small()(noise(1, 7, 32))


def test_every_weight_has_a_gradient() -> None:
    head = small().train()
    prediction = head(*head.collate([noise(5, 40), noise(5, 64, seed=1)]))
    instances, labels = [torch.tensor([[3.0, 9.0], [5.0, 60.0]])] * 2, [torch.tensor([0, 2])] * 2
    targets = head.targets(instances, labels, 64)
    torch.manual_seed(1)
    OffsetLoss(label_smoothing=0.1)(prediction, targets).total.backward()
    still = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    # on levels without actions, the offsets have no gradient
    assert [name for name in still if "offset_scale" not in name] == []


def test_recomputation_uses_the_same_dropout() -> None:
    block = TransformerBlock(8, dropout=0.5, drop_path=0.0).double()
    with torch.no_grad():
        block.perceptron_scale.fill_(1.0)
    x = noise(1, 12, 8).double().requires_grad_()

    def at(x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return block(x, None)[0].sum()

    (gradient,) = torch.autograd.grad(at(x), x)
    step = 1e-6 * noise(1, 12, 8, seed=1).double()
    assert ((at(x + step) - at(x - step)) / 2).item() == pytest.approx((gradient * step).sum().item(), rel=1e-5)


def test_drop_path_skips_or_scales_the_branch_of_a_clip() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(8, drop_path=0.75)
    with torch.no_grad():
        block.perceptron_scale.fill_(1.0)
        block.attention_scale.fill_(0.0)
    x = noise(1, 6, 8).expand(400, -1, -1)
    with torch.no_grad():
        branch = block.eval()(x, None)[0] - x
        share = ((block.train()(x, None)[0] - x) / branch).flatten(1)
    active = share.mean(1) > 2
    torch.testing.assert_close(share, torch.where(active, 4.0, 0.0)[:, None].expand_as(share), atol=1e-3, rtol=1e-3)
    assert 0.18 < active.float().mean() < 0.32


def test_half_precision_is_close() -> None:
    head, clip = small(), noise(1, 5, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = head(clip)
    for a, b in zip(half.logits, head(clip).logits, strict=True):
        assert (a.float() - b).abs().mean() < 0.1 * b.std()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 0}, "channels=0"),
        ({"classes": 0}, "classes=0"),
        ({"length": 100}, "length=100: expected a multiple of 32"),
        ({"width": 10}, "heads=4"),
        ({"width": 0}, "width=0"),
        ({"windows": (4, 5)}, "window=4"),
        ({"windows": ()}, "levels=0"),
        ({"head_width": -1}, "head_width=-1"),
        ({"drop_path": 1.0}, "drop_path=1"),
        ({"convolutions": 0}, "convolutions=0"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, message: str) -> None:
    with pytest.raises(SolaError, match=message):
        ActionFormer(**{"channels": 5, "width": 8, "length": 64, **values})
