"""Compare TemporalMaxer with the published network and its instance assignment in plain code."""

import pytest
import torch
from support.weights import noise, randomized
from torch import Tensor
from torch.nn import functional as F

from sola.detectors.point_pyramid.points import PointPrediction
from sola.detectors.temporalmaxer.assignment import chosen_targets
from sola.detectors.temporalmaxer.network import TemporalMaxer

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def small(**values: object) -> TemporalMaxer:
    settings = {"channels": 5, "classes": 3, "length": 32, "width": 16, "levels": 3, "head_width": 12, **values}
    model = randomized(TemporalMaxer(**settings))
    assert isinstance(model, TemporalMaxer)
    return model


def plain(model: TemporalMaxer, x: Tensor, valid: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return logits and offsets of the levels for one padded clip [channels, time]."""
    w = dict(model.named_parameters())

    def norm(name: str, x: Tensor) -> Tensor:
        scaled = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
        return scaled * w[f"{name}.weight"][:, None] + w[f"{name}.bias"][:, None]

    def conv(name: str, x: Tensor) -> Tensor:
        return F.conv1d(x[None], w[f"{name}.weight"], w.get(f"{name}.bias"), padding=1)[0]

    def layers(name: str, x: Tensor, mask: Tensor) -> Tensor:
        for index in (0, 1):
            x = norm(f"{name}.norms.{index}", conv(f"{name}.convolutions.{index}", x) * mask).relu()
        return conv(f"{name}.convolutions.2", x) * mask

    mask = (torch.arange(x.shape[1]) < valid).float()
    for index in range(len(model.backbone.convolutions)):
        x = norm(f"backbone.norms.{index}", conv(f"backbone.convolutions.{index}", x) * mask).relu()
    logits, offsets = [], []
    for level in range(3):
        if level:
            padded = F.pad(x, (1, 1), value=-torch.inf)
            mask = mask[::2]
            x = torch.stack([padded[:, i : i + 3].amax(1) for i in range(0, x.shape[1], 2)], dim=1) * mask
        if model.normalization == "layer":
            normalized = norm(f"norms.{level}", x)
        else:
            groups = x.split(len(x) // 4)
            normalized = torch.cat([(g - g.mean()) / (g.var(correction=0) + 1e-5).sqrt() for g in groups])
        logits.append(layers("classifier", normalized, mask))
        offsets.append((layers("regressor", normalized, mask) * w["offset_scale"][level]).relu())
    return logits, offsets


@pytest.mark.parametrize(("valid", "normalization"), [(32, "layer"), (21, "layer"), (32, "clip"), (21, "clip")])
def test_outputs_equal_the_plain_network(valid: int, normalization: str) -> None:
    model = small(normalization=normalization, convolutions=3)
    clip = noise(5, valid)
    with torch.no_grad():
        got = model(*model.collate([clip]))
        logits, offsets = plain(model, F.pad(clip, (0, 32 - valid)), valid)
    for level in range(3):
        points = got.logits[level].shape[1]
        torch.testing.assert_close(got.logits[level][0], logits[level].T[:points], **CLOSE)
        torch.testing.assert_close(got.offsets[level][0], offsets[level].T[:points], **CLOSE)
    assert logits[0].std() > 0.1, "the oracle must tell points apart"


def test_outputs_depend_on_the_padded_length_only_with_clip_normalization() -> None:
    clip = noise(5, 13)
    short, long = small(normalization="layer"), small(normalization="layer", length=96)
    for first, second in zip(short(*short.collate([clip])).logits, long(*long.collate([clip])).logits, strict=True):
        torch.testing.assert_close(first[:, : second.shape[1]], second[:, : first.shape[1]], **CLOSE)
    assert short.collate([clip])[0].shape[2] == 20, "one coarsest stride of padding"
    assert small().collate([clip])[0].shape[2] == 32


def focal(logit: Tensor, target: float) -> Tensor:
    p = logit.sigmoid()
    return -0.25 * (1 - p) ** 2 * p.log() if target else -0.75 * p**2 * (1 - p).log()


def test_a_point_regresses_to_the_instance_that_its_prediction_fits_best() -> None:
    model = small()
    instances = [torch.tensor([[1.0, 9.0], [2.0, 8.5], [0.5, 21.0], [6.0, 7.0]]), torch.zeros(0, 2)]
    labels = [torch.tensor([0, 1, 2, 1]), torch.zeros(0, dtype=torch.int64)]
    targets = model.targets(instances, labels, 32)
    lengths = (32, 16, 8)
    prediction = PointPrediction(
        tuple(noise(2, n, 3, seed=n) for n in lengths),
        tuple(2 * noise(2, n, 2, seed=n + 1).abs() for n in lengths),
        tuple(torch.ones(2, n, dtype=torch.bool) for n in lengths),
    )
    got = chosen_targets(targets, prediction, model.pyramid)
    first, positive, moved = 0, 0, 0
    for level, points in enumerate(lengths):
        for i in range(points):
            if not targets.points.classes[0, first + i].any():
                continue
            positive += 1
            t, stride = 2**level * i + 0.5, 2**level
            costs = {}
            for (start, end), label in zip(instances[0].tolist(), labels[0].tolist(), strict=True):
                left, right = (t - start) / stride, (end - t) / stride
                if left < 0 or right < 0:
                    continue
                a, b = prediction.offsets[level][0, i].tolist()
                union = max(left, a) + max(right, b)
                overlap = 1 - (min(left, a) + min(right, b)) / union + ((b - a - right + left) / 2 / union) ** 2
                classes = [focal(prediction.logits[level][0, i, c], float(c == label)) for c in range(3)]
                costs[left, right] = float(sum(classes)) + 2 * overlap
            best = min(costs, key=lambda key: costs[key])
            torch.testing.assert_close(got.offsets[0, first + i], torch.tensor(best), **CLOSE)
            moved += not torch.allclose(got.offsets[0, first + i], targets.points.offsets[0, first + i])
        first += points
    assert moved >= 3, "some points must change their instance"
    assert positive > moved, "and some must keep it"
    assert torch.equal(got.classes, targets.points.classes)


def test_the_loss_is_finite_without_instances() -> None:
    model = small().train()
    batch = model.collate([noise(5, 30), noise(5, 20)])
    none = [torch.zeros(0, 2)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2
    loss = model.loss(model(*batch), model.targets(*none, 32), torch.Generator())
    assert loss.isfinite()
    loss.backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())
