"""Compare TriDet with the published network in plain code."""

from typing import Any

import numpy as np
import pytest
import torch
from support.weights import noise, randomized
from torch import Tensor
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.detectors.point_pyramid.config import overlapping
from sola.detectors.point_pyramid.points import PointTargets
from sola.detectors.tridet.blocks import PerceptionBlock
from sola.detectors.tridet.loss import TriDetLoss
from sola.detectors.tridet.network import TriDet
from sola.detectors.tridet.outputs import TridentPrediction

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
BINS = 4
SHAPE = {"width": 16, "length": 32, "windows": (1, 3, 3), "window_scale": 1.4, "hidden": 24, "bins": BINS}


def small(**values: object) -> TriDet:
    model = randomized(TriDet(**{"channels": 5, "classes": 3, "head_width": 12, **SHAPE, **values}))
    assert isinstance(model, TriDet)
    return model


def plain(model: TriDet, x: Tensor, valid: int) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Return logits, starts, ends and bins of the levels for one padded clip [channels, time]."""
    w = dict(model.named_parameters())

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance = x.mean(0), x.var(0, correction=0)
        return (x - mean) / (variance + 1e-5).sqrt() * w[f"{name}.weight"][:, None] + w[f"{name}.bias"][:, None]

    def conv(name: str, x: Tensor) -> Tensor:
        weight, bias = w[f"{name}.weight"], w.get(f"{name}.bias")
        groups = len(x) if weight.shape[1] == 1 and len(weight) == len(x) else 1
        return F.conv1d(x[None], weight, bias, padding=weight.shape[2] // 2, groups=groups)[0]

    def grouped(name: str, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        for first in range(0, len(x), len(x) // 16):
            part = x[first : first + len(x) // 16]
            out[first : first + len(x) // 16] = (part - part.mean()) / (part.var(correction=0) + 1e-5).sqrt()
        return out * w[f"{name}.weight"][:, None] + w[f"{name}.bias"][:, None]

    def block(name: str, x: Tensor, mask: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        if stride == 2:
            padded = F.pad(x, (1, 1), value=-torch.inf)
            x = torch.stack([padded[:, i : i + 3].amax(1) for i in range(0, x.shape[1], 2)], dim=1)
            mask = mask[::2]
        n = norm(f"{name}.norm", x)
        phi = conv(f"{name}.mean", n.mean(1, keepdim=True)).relu()
        window = conv(f"{name}.narrow", n) + conv(f"{name}.wide", n)
        branch = conv(f"{name}.instant", n) * phi + window * conv(f"{name}.gate", n) + n
        x = x * mask + branch * w.get(f"{name}.branch_scale", torch.ones(1))[:, None]
        hidden = F.gelu(conv(f"{name}.expansion", grouped(f"{name}.perceptron_norm", x)))
        return x + conv(f"{name}.contraction", hidden) * w.get(f"{name}.perceptron_scale", torch.ones(1))[:, None], mask

    def layers(name: str, x: Tensor, mask: Tensor) -> Tensor:
        for index in (0, 1):
            x = norm(f"{name}.norms.{index}", conv(f"{name}.convolutions.{index}", x) * mask).relu()
        return conv(f"{name}.convolutions.2", x) * mask

    mask = (torch.arange(x.shape[1]) < valid).float()
    for index in (0, 1):
        x = norm(f"backbone.norms.{index}", conv(f"backbone.convolutions.{index}", x) * mask).relu()
    for index in (0, 1):
        x, mask = block(f"backbone.stem.{index}", x, mask, 1)
    levels = [(x, mask)]
    for index in (0, 1):
        levels.append(block(f"backbone.branch.{index}", *levels[-1], 2))
    outputs: tuple[list[Tensor], ...] = ([], [], [], [])
    for level, (x, mask) in enumerate(levels):
        x = norm(f"norms.{level}", x)
        for result, name in zip(
            outputs, ("classifier", "start_classifier", "end_classifier", "regressor"), strict=True
        ):
            result.append(layers(name, x, mask))
        outputs[3][-1] = (outputs[3][-1] * w["offset_scale"][level]).relu()
    return outputs


@pytest.mark.parametrize(("valid", "kernels"), [(32, (3, 3)), (21, (3, 3)), (21, (5, 1))])
def test_outputs_equal_the_plain_network(valid: int, kernels: tuple[int, int]) -> None:
    model = small(head_kernel_size=kernels[0], boundary_kernel_size=kernels[1])
    clip = noise(5, valid)
    with torch.no_grad():
        got = model(*model.collate([clip]))
        logits, starts, ends, bins = plain(model, F.pad(clip, (0, 32 - valid)), valid)
    for level in range(3):
        torch.testing.assert_close(got.logits[level][0], logits[level].T, **CLOSE)
        torch.testing.assert_close(got.starts[level][0], starts[level].T, **CLOSE)
        torch.testing.assert_close(got.ends[level][0], ends[level].T, **CLOSE)
        torch.testing.assert_close(got.bins[level][0].flatten(1), bins[level].T, **CLOSE)
    assert logits[0].std() > 0.1, "the oracle must tell points apart"


def random_prediction(classes: int = 3, seed: int = 0) -> TridentPrediction:
    def drawn(*last: int) -> tuple[Tensor, ...]:
        return tuple(noise(2, n, *last, seed=seed + n + len(last) + sum(last)).requires_grad_() for n in (16, 8))

    present = torch.tensor([16, 11])[:, None]
    masks = tuple(torch.arange(n) * 2**level < present for level, n in enumerate((16, 8)))
    starts, ends = drawn(classes), tuple(part.detach().flip(1).requires_grad_() for part in drawn(classes))
    return TridentPrediction(drawn(classes), tuple(part.relu() for part in drawn(2, BINS + 1)), masks, starts, ends)


def expected_offsets(prediction: TridentPrediction, level: int, clip: int, point: int, label: int) -> list[Tensor]:
    """Return the distances from a point to start and end, computed one bin at a time."""
    result = []
    for side, logits, step in ((0, prediction.starts, -1), (1, prediction.ends, 1)):
        near = []
        for distance in range(BINS + 1):
            at = point + step * distance
            bias = prediction.bins[level][clip, point, side, BINS - distance if side == 0 else distance]
            near.append((logits[level][clip, at, label] if 0 <= at < logits[level].shape[1] else 0) + bias)
        weights = torch.stack(near).exp()
        result.append(sum(weight * distance for distance, weight in enumerate(weights)) / weights.sum())
    return result


def test_boundaries_are_expectations_over_bins() -> None:
    prediction = random_prediction()
    for level, points in enumerate((16, 8)):
        for clip in (0, 1):
            at = torch.arange(points)
            for label in range(3):
                got = prediction.offsets_at(level, clip, at, torch.full_like(at, label))
                reference = [
                    torch.stack(expected_offsets(prediction, level, clip, point, label)) for point in at.tolist()
                ]
                torch.testing.assert_close(got, torch.stack(reference), **CLOSE)


def loss_in_loops(prediction: TridentPrediction, targets: PointTargets, power: float, smoothing: float) -> Tensor:
    """Return the loss, normalized by .9 · 10 + .1 · positive points."""
    total, positive, classes = torch.zeros(()), 0, targets.classes.shape[2]
    first = 0
    for level, logits in enumerate(prediction.logits):
        for clip in range(len(logits)):
            for point in range(logits.shape[1]):
                if not prediction.masks[level][clip, point]:
                    continue
                classes_at = targets.classes[clip, first + point]
                positive += bool(classes_at.any())
                for label in range(classes):
                    target = (1 - smoothing) * classes_at[label] + smoothing / (classes + 1)
                    p = logits[clip, point, label].sigmoid()
                    entropy = -(target * p.log() + (1 - target) * (1 - p).log())
                    p_t = p * target + (1 - p) * (1 - target)
                    loss = (0.25 * target + 0.75 * (1 - target)) * (1 - p_t) ** 2 * entropy
                    if classes_at[label]:
                        result = torch.stack(expected_offsets(prediction, level, clip, point, label))
                        reference = targets.offsets[clip, first + point]
                        inner, outer = torch.minimum(result, reference).sum(), torch.maximum(result, reference).sum()
                        middle = ((result[1] - result[0]) - (reference[1] - reference[0])) / 2
                        loss = loss * (inner / outer) ** power + 1 - inner / outer + (middle / outer) ** 2
                    total = total + loss
        first += logits.shape[1]
    return total / (9 + 0.1 * positive)


@pytest.mark.parametrize(("power", "smoothing"), [(0.2, 0.0), (1.0, 0.1)])
def test_the_loss_and_its_gradient_equal_the_loops(power: float, smoothing: float) -> None:
    prediction = random_prediction()
    model = small(windows=(1, 3))
    instances, labels = [torch.tensor([[1.0, 4.5], [3.0, 12.0]]), torch.tensor([[2.0, 9.0]])], [[0, 2], [1]]
    targets = model.targets(instances, [torch.tensor(label) for label in labels], 16)
    assert targets.classes.sum() > 5
    loss = TriDetLoss(overlap_power=power, label_smoothing=smoothing, normalizer=10.0)
    got = loss(prediction, targets).total
    expected = loss_in_loops(prediction, targets, power, smoothing)
    torch.testing.assert_close(got, expected, **CLOSE)
    leaves = (*prediction.logits, *prediction.starts, *prediction.ends)
    for actual, reference in zip(torch.autograd.grad(got, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(actual, reference, **CLOSE)


def test_the_regression_loss_is_zero_without_actions() -> None:
    prediction, model = random_prediction(), small(windows=(1, 3))
    none = model.targets([torch.zeros(0, 2)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2, 16)
    result = TriDetLoss()(prediction, none)
    assert result.regression == 0
    assert result.total.isfinite()


def test_the_gradient_is_finite_for_segments_of_length_zero() -> None:
    """The overlap is 0, where the gradient of its power is infinite."""
    prediction, model = random_prediction(), small(windows=(1, 3))
    zeros = tuple(torch.zeros_like(level) for level in prediction.starts)
    bins = []
    for level in prediction.bins:
        far = torch.zeros_like(level)
        far[..., 0, BINS] = far[..., 1, 0] = 1e4  # distance 0 on both sides
        bins.append(far.requires_grad_())
    zero = TridentPrediction(prediction.logits, tuple(bins), prediction.masks, zeros, zeros)
    targets = model.targets([torch.tensor([[1.0, 4.5]])] * 2, [torch.tensor([0])] * 2, 16)
    TriDetLoss(overlap_power=0.2)(zero, targets).total.backward()
    assert all(leaf.grad is None or leaf.grad.isfinite().all() for leaf in (*bins, *prediction.logits))


def test_decoding_equals_its_definition() -> None:
    prediction, model = random_prediction(), small(windows=(1, 3), threshold=0.3, candidates=7, min_duration=0.5)
    for clip, result in enumerate(model.decode(prediction)):
        expected = []
        for level, logits in enumerate(prediction.logits):
            score = logits[clip].sigmoid() * prediction.masks[level][clip, :, None]
            best = sorted(((score[i, c].item(), i, c) for i in range(len(score)) for c in range(3)), reverse=True)[:7]
            for value, point, label in best:
                offsets = expected_offsets(prediction, level, clip, point, label)
                left, right = (offset.item() * 2**level for offset in offsets)
                if value > 0.3 and left + right > 0.5:
                    middle = point * 2**level + 0.5
                    expected.append((middle - left, middle + right, label, value))
        got = sorted(zip(result.start, result.end, result.label, result.score, strict=True))
        assert len(expected) >= 3
        np.testing.assert_allclose(np.array(got), np.array(sorted(expected)), rtol=1e-5, atol=1e-5)


def test_input_noise_does_not_depend_on_other_clips() -> None:
    model = small(input_noise=0.5, drop_path=0.1).train()
    clips = [noise(5, 32, seed=seed) for seed in range(3)]
    torch.manual_seed(1)
    paths, seeds = model.noise(3, torch.device("cpu"))
    features, mask = model.collate(clips)
    with torch.no_grad():
        whole = model(features, mask, paths, seeds)
        part = model(features[1:2], mask[1:2], paths[1:2], seeds[1:2])
        other = model(features[1:2], mask[1:2], paths[1:2], seeds[:1])
    torch.testing.assert_close(part.logits[0][0], whole.logits[0][1], **CLOSE)
    assert not torch.allclose(other.logits[0], part.logits[0], atol=1e-2)
    quiet = model.eval()(features, mask, paths, seeds)
    torch.testing.assert_close(quiet.logits[0], model(features, mask).logits[0])


def test_padding_is_as_published() -> None:
    model = small()
    assert [model.padded_length(snippets) for snippets in (1, 32, 33, 50)] == [32, 32, 36, 60]


def test_weights_are_initialized_as_published() -> None:
    torch.manual_seed(0)
    model = TriDet(8, 20, **{**SHAPE, "width": 64, "deviation": 0.2})
    block = model.backbone.branch[0]
    assert block.narrow.weight.std().item() == pytest.approx(0.2, rel=0.2)
    assert block.branch_scale.tolist() == pytest.approx([1e-4] * 64)
    assert model.backbone.stem[0].branch_scale is None
    for layers in (model.classifier, model.start_classifier, model.end_classifier):
        assert torch.sigmoid(layers.convolutions[2].bias).tolist() == pytest.approx([0.01] * 20)
    assert not any(bias.any() for name, bias in block.named_parameters() if name.endswith("bias"))
    with torch.device("meta"):
        full = sum(parameter.numel() for parameter in TriDet(2048, 20).parameters())
    assert full == 15_989_604


def test_overlapping_ranges_are_those_of_epic_kitchens() -> None:
    epic = [(0, 4), (2, 8), (4, 16), (8, 32), (16, 64), (32, 10_000)]
    assert overlapping(6) == epic


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 24}, "width=24: expected a multiple of 16"),
        ({"windows": (1, 2, 2)}, "window=2"),
        ({"bins": 0}, "bins=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"input_noise": -1.0}, "input_noise=-1"),
        ({"head_kernel_size": 2}, "kernel_size=2"),
        ({"length": 30}, "length=30: expected a multiple of 4"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SolaError, match=message):
        TriDet(**{"channels": 5, "classes": 3, **SHAPE, **values})
    with pytest.raises(SolaError, match="scale=0"):
        PerceptionBlock(16, 8, scale=0)
