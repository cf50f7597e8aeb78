"""ActionFormer equals the published network in plain code, and the authors' program in a clone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.actionformer import CLOSE, published_network, published_shapes, published_state
from support.published_program import program
from support.weights import noise

from sola.data.timing import Placement
from sola.detectors.actionformer import checkpoint
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.point_pyramid.backbone import sinusoid_positions
from sola.detectors.point_pyramid.loss import OffsetLoss

ACTIVITYNET = {
    "length": 192,
    "width": 256,
    "windows": (7, 7, 7, 7, 7, None),
    "absolute_position": True,
    "min_duration": 0.001,
}


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


def test_padding_for_stretched_positions_is_as_published() -> None:
    assert ActionFormer(4, **{**ACTIVITYNET, "width": 8}).padded_length(193) == 288


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
