"""Compare ActionFormer with the published network in plain code: one level, one block and one clip at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.published_program import program
from torch import Tensor
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.data.timing import Placement
from sola.detectors.actionformer import checkpoint
from sola.detectors.actionformer.blocks import TransformerBlock
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.point_pyramid.backbone import sinusoid_positions
from sola.detectors.point_pyramid.loss import OffsetLoss
from sola.detectors.point_pyramid.points import PointPrediction

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
ACTIVITYNET = {
    "length": 192,
    "width": 256,
    "windows": (7, 7, 7, 7, 7, None),
    "absolute_position": True,
    "min_duration": 0.001,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def published_shapes(channels: int, width: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published state dict: 2 convolutions, 2 + 5 blocks, 6 levels."""
    norm = (1, width, 1)
    shapes: dict[str, tuple[int, ...]] = {}
    for index in (0, 1):
        shapes[f"backbone.embd.{index}.conv.weight"] = (width, width if index else channels, 3)
        shapes[f"backbone.embd_norm.{index}.weight"] = norm
        shapes[f"backbone.embd_norm.{index}.bias"] = norm
    for block in [f"backbone.stem.{i}" for i in range(2)] + [f"backbone.branch.{i}" for i in range(5)]:
        for layer in ("ln1", "ln2", "attn.query_norm", "attn.key_norm", "attn.value_norm"):
            shapes |= {f"{block}.{layer}.weight": norm, f"{block}.{layer}.bias": norm}
        for role in ("query", "key", "value"):
            shapes[f"{block}.attn.{role}_conv.conv.weight"] = (width, 1, 3)
        for layer in ("query", "key", "value", "proj"):
            shapes |= {f"{block}.attn.{layer}.weight": (width, width, 1), f"{block}.attn.{layer}.bias": (width,)}
        shapes |= {f"{block}.mlp.0.weight": (4 * width, width, 1), f"{block}.mlp.0.bias": (4 * width,)}
        shapes |= {f"{block}.mlp.3.weight": (width, 4 * width, 1), f"{block}.mlp.3.bias": (width,)}
        shapes |= {f"{block}.drop_path_attn.scale": norm, f"{block}.drop_path_mlp.scale": norm}
    for level in range(6):
        shapes |= {f"neck.fpn_norms.{level}.weight": norm, f"neck.fpn_norms.{level}.bias": norm}
        shapes[f"reg_head.scale.{level}.scale"] = ()
    for head, output, outputs in (("cls_head", "cls_head", classes), ("reg_head", "offset_head", 2)):
        for index in (0, 1):
            shapes[f"{head}.head.{index}.conv.weight"] = (width, width, 3)
            shapes |= {f"{head}.norm.{index}.weight": norm, f"{head}.norm.{index}.bias": norm}
        shapes |= {f"{head}.{output}.conv.weight": (outputs, width, 3), f"{head}.{output}.conv.bias": (outputs,)}
    return shapes


def published_state(channels: int, width: int, classes: int, seed: int = 0) -> dict[str, Tensor]:
    """Random weights, with norms and scales that differ clearly from 1 and 0."""
    state = {}
    for number, (name, shape) in enumerate(published_shapes(channels, width, classes).items()):
        draw = noise(*shape, seed=1000 * seed + number)
        if name.endswith("bias"):
            state[name] = 0.3 * draw
        elif "norm" in name or "ln" in name or "scale" in name:
            state[name] = 1 + 0.3 * draw
        else:
            state[name] = 1.5 * draw / np.prod(shape[1:]) ** 0.5
    return state


def published_network(
    state: dict[str, Tensor], x: Tensor, mask: Tensor, windows: list[int | None], position: Tensor | None
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return logits [batch, classes, time], offsets [batch, 2, time] and masks of the levels; x has zero padding."""

    def norm(name: str, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        deviation = ((x - mean) ** 2).mean(1, keepdim=True).add(1e-5).sqrt()
        return (x - mean) / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]

    def conv(name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv1d(x, weight, state.get(f"{name}.bias"), stride, weight.shape[2] // 2, groups=groups)

    def attention(name: str, x: Tensor, mask: Tensor, stride: int, window: int | None) -> Tensor:
        parts = []
        for role in ("query", "key", "value"):
            part = conv(f"{name}.{role}_conv.conv", x, stride, groups=x.shape[1]) * mask[:, None]
            part = conv(f"{name}.{role}", norm(f"{name}.{role}_norm", part))
            parts.append(part.unflatten(1, (4, -1)))
        query, key, value = parts
        score = torch.einsum("bhct,bhcs->bhts", query, key) * query.shape[2] ** -0.5
        at = torch.arange(x.shape[2] // stride)
        band = torch.ones(len(at), len(at), dtype=torch.bool)
        if window is not None:
            band = (at[:, None] - at).abs() <= window // 2
        allowed = band & mask[:, None, None, :]
        share = score.masked_fill(~allowed, -1e9).softmax(-1)
        out = torch.einsum("bhts,bhcs->bhct", share, value).flatten(1, 2)
        return conv(f"{name}.proj", out) * mask[:, None]

    def block(name: str, x: Tensor, mask: Tensor, stride: int, window: int | None) -> tuple[Tensor, Tensor]:
        after = mask[:, ::stride]
        attended = attention(f"{name}.attn", norm(f"{name}.ln1", x), after, stride, window)
        skip = x if stride == 1 else F.max_pool1d(x, 3, stride, 1)
        x = skip * after[:, None] + state[f"{name}.drop_path_attn.scale"] * attended
        hidden = F.gelu(conv(f"{name}.mlp.0", norm(f"{name}.ln2", x)))
        out = conv(f"{name}.mlp.3", hidden) * after[:, None]
        return x + state[f"{name}.drop_path_mlp.scale"] * out, after

    def head(name: str, output: str, x: Tensor, mask: Tensor) -> Tensor:
        for index in (0, 1):
            x = norm(f"{name}.norm.{index}", conv(f"{name}.head.{index}.conv", x) * mask[:, None]).relu()
        return conv(f"{name}.{output}.conv", x) * mask[:, None]

    for index in (0, 1):
        x = norm(f"backbone.embd_norm.{index}", conv(f"backbone.embd.{index}.conv", x) * mask[:, None]).relu()
    if position is not None:
        x = x + position * mask[:, None]
    for index in (0, 1):
        x, mask = block(f"backbone.stem.{index}", x, mask, 1, windows[0])
    levels = [(x, mask)]
    for index in range(5):
        levels.append(block(f"backbone.branch.{index}", *levels[-1], 2, windows[1 + index]))
    logits, offsets = [], []
    for level, (x, mask) in enumerate(levels):
        x = norm(f"neck.fpn_norms.{level}", x)
        logits.append(head("cls_head", "cls_head", x, mask))
        offsets.append((head("reg_head", "offset_head", x, mask) * state[f"reg_head.scale.{level}.scale"]).relu())
    return logits, offsets, [mask for _, mask in levels]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a checkpoint in the published format."""

    def save(state: dict[str, Tensor], **entries: dict[str, Tensor]) -> Path:
        path = tmp_path / "epoch_034.pth.tar"
        entries = {"state_dict": state, **entries}
        named = {key: {f"module.{name}": value for name, value in part.items()} for key, part in entries.items()}
        torch.save({"epoch": 34, "scheduler": {"last_epoch": 1}, "optimizer": {"state": {}}, **named}, path)
        return path

    return save


def randomized(head: ActionFormer, seed: int = 0) -> ActionFormer:
    """Set weights with which every layer affects the output."""
    with torch.no_grad():
        for number, parameter in enumerate(head.parameters()):
            if parameter.ndim == 1:
                parameter.add_(0.3 * noise(*parameter.shape, seed=1000 * seed + number))
    return head.eval()


def small(**values: object) -> ActionFormer:
    torch.manual_seed(0)
    return randomized(ActionFormer(**{"channels": 5, "classes": 3, "width": 8, "length": 64, **values}))


def test_the_number_of_parameters_is_as_published() -> None:
    def count(head: ActionFormer) -> int:
        return sum(p.numel() for p in head.parameters())

    with torch.device("meta"):
        assert count(ActionFormer(2048, 20)) == 29_251_612
        assert count(ActionFormer(2048, 20, **ACTIVITYNET)) == 8_137_756


def test_weights_are_initialized_as_published() -> None:
    torch.manual_seed(0)
    head = ActionFormer(6, 4, width=8)
    state = head.state_dict()
    first = head.backbone.stem[0]
    assert first.attention_scale.tolist() == pytest.approx([1e-4] * 8)
    assert first.perceptron_scale.tolist() == pytest.approx([1e-4] * 8)
    assert torch.sigmoid(state["classifier.convolutions.2.bias"]).tolist() == pytest.approx([0.01] * 4)
    biases = {name: b for name, b in state.items() if name.endswith("bias") and "classifier.convolutions" not in name}
    assert all(not bias.any() for bias in biases.values())
    assert (state["offset_scale"] == 1).all()
    assert state["backbone.convolutions.0.weight"].abs().max() <= (6 * 3) ** -0.5


@pytest.mark.parametrize("layout", ["activitynet", "thumos14"])
@pytest.mark.parametrize("valid", [[64, 64], [64, 23], [40, 1]], ids=str)
def test_published_weights_give_the_published_outputs(
    saved: Callable[..., Path], layout: str, valid: list[int]
) -> None:
    windows: list[int | None] = [7, 7, 7, 7, 7, None] if layout == "activitynet" else [19] * 6
    state = published_state(6, 8, 3)
    head = checkpoint.load(saved(state), length=64, windows=windows, absolute_position=layout == "activitynet")
    position = sinusoid_positions(64, 8).T * 8**-0.5 if layout == "activitynet" else None
    mask = torch.arange(64) < torch.tensor(valid)[:, None]
    x = (noise(2, 6, 64) * mask[:, None]).requires_grad_()
    got = head(x, mask)
    logits, offsets, masks = published_network(state, x, mask, windows, position)
    for level in range(6):
        assert got.masks[level].tolist() == masks[level].tolist()
        torch.testing.assert_close(got.logits[level], logits[level].transpose(1, 2), **CLOSE)
        torch.testing.assert_close(got.offsets[level], offsets[level].transpose(1, 2), **CLOSE)
    assert logits[0].std() > 0.1, "the oracle must tell points apart"
    scale = 1 / sum(part.numel() for part in logits)  # a mean over the points, like a loss
    actual = sum(part.square().sum() for part in (*got.logits, *got.offsets)) * scale
    reference = sum(part.square().sum() for part in (*logits, *offsets)) * scale
    torch.testing.assert_close(
        torch.autograd.grad(actual, x)[0], torch.autograd.grad(reference, x)[0] * mask[:, None], **CLOSE
    )


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


def test_padding_for_stretched_positions_is_as_published() -> None:
    assert ActionFormer(4, **{**ACTIVITYNET, "width": 8}).padded_length(193) == 288


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


def random_prediction(lengths: tuple[int, ...] = (16, 8), classes: int = 3, valid: int = 11) -> PointPrediction:
    present = torch.tensor([16, valid])[:, None]
    return PointPrediction(
        tuple(3 * noise(2, n, classes, seed=n) - 3 for n in lengths),
        tuple(noise(2, n, 2, seed=50 + n).relu() for n in lengths),
        tuple(torch.arange(n) * 2**level < present for level, n in enumerate(lengths)),
    )


def decoded_in_loops(
    prediction: PointPrediction, clip: int, threshold: float, candidates: int, least: float
) -> list[tuple[float, ...]]:
    """Return sorted rows (start, end, label, score)."""
    decoded = []
    for level in range(len(prediction.logits)):
        scored = []
        for i, row in enumerate(prediction.logits[level][clip].tolist()):
            for c, logit in enumerate(row):
                score = 1 / (1 + np.exp(-logit))
                if prediction.masks[level][clip, i] and score > threshold:
                    scored.append((score, i, c))
        for score, i, c in sorted(scored, reverse=True)[:candidates]:
            left, right = prediction.offsets[level][clip, i].tolist()
            start, end = (i * 2**level + 0.5) - left * 2**level, (i * 2**level + 0.5) + right * 2**level
            if end - start > least:
                decoded.append((start, end, c, score))
    return sorted(decoded)


@pytest.mark.parametrize(
    ("classes", "threshold", "candidates"), [(3, 0.001, 2000), (3, 0.2, 2000), (3, 0.01, 7), (1, 0.01, 5)]
)
def test_decoding_equals_its_definition(classes: int, threshold: float, candidates: int) -> None:
    head = small(windows=(3, 3), classes=classes, threshold=threshold, candidates=candidates, min_duration=0.5)
    prediction = random_prediction(classes=classes)
    for clip, decoded in enumerate(head.decode(prediction)):
        got = sorted(zip(decoded.start, decoded.end, decoded.label, decoded.score, strict=True))
        expected = decoded_in_loops(prediction, clip, threshold, candidates, 0.5)
        assert len(expected) >= 3
        np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-5, atol=1e-5)


def test_decoding_the_targets_gives_the_instances() -> None:
    head = small(windows=(19,) * 6)
    instances, labels = torch.tensor([[2.25, 9.5], [20.0, 61.0]]), torch.tensor([1, 2])
    targets = head.targets([instances], [labels], 64)
    lengths = list(head.pyramid.lengths(64))
    aimed = PointPrediction(
        torch.logit(targets.classes, eps=1e-6).split(lengths, dim=1),
        targets.offsets.clamp(min=0).split(lengths, dim=1),
        tuple(torch.ones(1, n, dtype=torch.bool) for n in lengths),
    )
    (decoded,) = head.decode(aimed)
    assert set(zip(decoded.start.round(4), decoded.end.round(4), decoded.label, strict=True)) == {
        (2.25, 9.5, 1),
        (20.0, 61.0, 2),
    }


def test_no_score_above_the_threshold_gives_no_segment() -> None:
    prediction = random_prediction()
    silent = PointPrediction(tuple(x - 100 for x in prediction.logits), prediction.offsets, prediction.masks)
    assert [len(segments) for segments in small(windows=(3, 3)).decode(silent)] == [0, 0]


@pytest.fixture
def published_program() -> Iterator[Callable[[str], torch.nn.Module]]:
    """Yield a function that builds the authors' network from the name of a configuration, using a local clone."""
    with program("SOLA_ACTIONFORMER_REFERENCE") as make:

        def build(name: str) -> torch.nn.Module:
            model, config = make(name)
            width, classes, channels = config["model"]["embd_dim"], model.num_classes, config["model"]["input_dim"]
            state = published_state(channels, width, classes)
            assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == published_shapes(
                channels, width, classes
            )
            # scores as high as those of a trained network, so that its segments differ clearly
            model.load_state_dict(
                {name: value * (0.2 if "cls_head.cls_head" in name else 1) for name, value in state.items()}
            )
            return model

        yield build


@pytest.mark.slow
@pytest.mark.parametrize(("config", "snippets"), [("anet_tsp", 192), ("anet_i3d", 192), ("thumos_i3d", 500)])
def test_outputs_and_segments_equal_the_authors_program(
    published_program: Callable[[str], torch.nn.Module], saved: Callable[..., Path], config: str, snippets: int
) -> None:
    reference = published_program(config).eval()
    model = checkpoint.load(saved(reference.state_dict()))
    clip = noise(model.channels, snippets)
    with torch.no_grad():
        features, masks = reference.neck(*reference.backbone(*reference.preprocessing([{"feats": clip}])))
        got = model(*model.collate([clip]))
        for outputs, levels in (
            (reference.cls_head(features, masks), got.logits),
            (reference.reg_head(features, masks), got.offsets),
        ):
            for level, (expected, actual) in enumerate(zip(outputs, levels, strict=True)):
                points = -(-snippets // 2**level)
                torch.testing.assert_close(actual[0, :points], expected[0, :, :points].T, **CLOSE)
        video = {"video_id": "v", "fps": 25.0, "duration": 1e6, "feat_stride": 4, "feat_num_frames": 16}
        (result,) = reference([{"feats": clip, **video}])
    # times of the authors' code start half a window after the start of the first snippet
    placement = Placement((16 - 4) / 2 / 25, 4 / 25)
    (decoded,) = model.decode(got)
    assert len(decoded) == len(result["scores"]) > 300
    np.testing.assert_allclose(np.sort(decoded.score), np.sort(result["scores"].numpy()), rtol=1e-4, atol=1e-5)
    # the authors' code clips segments to the video
    for column, index in (
        (placement.seconds(decoded.start).clip(min=0), 0),
        (placement.seconds(decoded.end), 1),
    ):
        expected = np.sort(result["segments"].numpy()[:, index])
        np.testing.assert_allclose(np.sort(column), expected, rtol=1e-4, atol=1e-3)
    assert np.bincount(decoded.label).tolist() == result["labels"].bincount().tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("config", "snippets"), [("anet_tsp", 192), ("thumos_i3d", 300)])
def test_loss_and_gradient_equal_the_authors_program(
    published_program: Callable[[str], torch.nn.Module], saved: Callable[..., Path], config: str, snippets: int
) -> None:
    """Use float64, so that rounding does not change the sign of a ReLU input."""
    reference = published_program(config)
    model = checkpoint.load(saved(reference.state_dict())).double().train()
    reference.double()
    for module in (*reference.modules(), *model.modules()):
        for name in ("drop_prob", "drop_path"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    clips = [noise(model.channels, n, seed=n).double() for n in (snippets, snippets - 100)]
    start = torch.rand(2, 12, generator=torch.Generator().manual_seed(0)) * (snippets - 100)
    size = 1 + 90 * torch.rand(2, 12, generator=torch.Generator().manual_seed(1)) ** 2
    instances = torch.stack([start, start + size], dim=2)
    labels = torch.arange(24).view(2, 12) % reference.num_classes
    losses = reference(
        [
            {"feats": clip, "segments": instance - 0.5, "labels": label}
            for clip, instance, label in zip(clips, instances, labels, strict=True)
        ]
    )
    features, mask = model.collate(clips)
    activitynet = config == "anet_tsp"
    loss = OffsetLoss(
        regression_weight=2.0 if activitynet else 1.0,
        label_smoothing=0.1 if activitynet else 0.0,
        normalizer=200.0 if activitynet else 100.0,
    )
    got = loss(model(features, mask), model.targets(list(instances), list(labels), features.shape[2]))
    torch.testing.assert_close(got.classification, losses["cls_loss"], **CLOSE)
    torch.testing.assert_close(got.regression, losses["reg_loss"], **CLOSE)
    torch.testing.assert_close(got.total, losses["final_loss"], **CLOSE)
    assert loss.normalizer.item() == pytest.approx(reference.loss_normalizer, rel=1e-6)
    got.total.backward()
    losses["final_loss"].backward()
    for actual, published in (
        (model.backbone.convolutions[0].weight, reference.backbone.embd[0].conv.weight),
        (model.backbone.stem[0].query.linear.weight, reference.backbone.stem[0].attn.query.weight),
        (model.backbone.branch[4].expansion.weight, reference.backbone.branch[4].mlp[0].weight),
    ):
        torch.testing.assert_close(actual.grad, published.grad, rtol=1e-4, atol=1e-5)
    scales = torch.stack([level.scale.grad for level in reference.reg_head.scale])
    torch.testing.assert_close(model.offset_scale.grad, scales, rtol=1e-4, atol=1e-5)
