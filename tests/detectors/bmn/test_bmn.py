"""Compare boundary matching and BMN with their definitions, and with the published programs if there are clones.

Two tests run the authors' classes: they look for clones of github.com/JJBOY/BMN-Boundary-Matching-Network and
github.com/open-mmlab/mmaction2 in the folders that SOLA_BMN_REFERENCE and SOLA_MMACTION2_REFERENCE name.
"""

import importlib.util
import math
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.detectors.bmn import checkpoint
from sola.detectors.bmn.matching import BoundaryMatching
from sola.detectors.bmn.network import BMN
from sola.detectors.proposal_map.loss import map_loss
from sola.detectors.proposal_map.map import MapPrediction, ProposalMap
from sola.detectors.proposal_map.sampling import LinearSampling

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)

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


def dense_mask(
    length: int, layout: str, longest: int, *, samples: int, points: int, context: float, end_inclusive: bool
) -> Tensor:
    """Return the boundary-matching mask [T, samples, rows, columns], computed one position at a time."""
    rows = longest if layout == "duration_start" else length
    mask = np.zeros((length, samples, rows, length), np.float32)
    for start in range(length):
        for duration in range(1, min(longest, length - start) + 1):
            row, column = (duration - 1, start) if layout == "duration_start" else (start, start + duration - 1)
            last = start + duration - (0 if end_inclusive else 1)
            extent = last - start + 1
            low, high = start - context * extent, last + context * extent
            step = (high - low) / (samples * points - 1)
            for at in range(samples * points):
                place = low + step * at
                inner = int(place)  # rounds toward 0, so a position in (-1, 0) has the full value of snippet 0
                for snippet, weight in ((inner, 1 - (place - inner)), (math.ceil(place), place - inner)):
                    if place > -1 and 0 <= snippet < length:
                        mask[snippet, at // points, row, column] += weight / points
    return torch.from_numpy(mask)


def definition(features: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Sample every cell of the map, then apply Conv3d and ReLU."""
    sampled = torch.einsum("bct,tnij->bcnij", features, mask)
    return F.conv3d(sampled, weight, bias).squeeze(2).relu()


def set_weights(module: nn.Module, seed: int) -> None:
    """Set weights large enough for outputs to depend on the inputs; with PyTorch's initialization they are near 0.5."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                fan = parameter[0].numel() if parameter.dim() > 1 else 100
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan) ** 0.5)


# sampling


@st.composite
def operators(draw: st.DrawFn) -> dict[str, Any]:
    sizes = {name: draw(st.integers(1, 5)) for name in ("cells", "samples", "length")}
    entry = st.tuples(*(st.integers(0, size - 1) for size in sizes.values()), st.integers(-8, 8).map(lambda n: n / 4))
    columns = np.array(draw(st.lists(entry, max_size=20))).reshape(-1, 4)
    index = {name: columns[:, at].astype(np.int64) for at, name in enumerate(("cell", "sample", "time"))}
    return {**sizes, **index, "weight": columns[:, 3].astype(np.float64)}


@PROPERTY
@given(operator=operators(), batch=st.integers(1, 3))
def test_sampling_is_the_sum_of_its_entries(operator: dict[str, Any], batch: int) -> None:
    sampling = LinearSampling(**operator)
    shape = batch, operator["samples"], operator["length"], 3
    projected = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(batch, operator["cells"], 3)
    for cell, sample, time, weight in zip(*(operator[n] for n in ("cell", "sample", "time", "weight")), strict=True):
        expected[:, cell] += weight * projected[:, sample, time]
    torch.testing.assert_close(sampling(projected), expected, atol=1e-5, rtol=0)


@PROPERTY
@given(operator=operators())
def test_the_gradient_of_sampling_equals_finite_differences(operator: dict[str, Any]) -> None:
    sampling = LinearSampling(**operator).double()
    shape = 2, operator["samples"], operator["length"], 2
    projected = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sampling, projected)


def test_dense_sampling_weights() -> None:
    cell, sample, time = np.array([1, 1, 0]), np.array([0, 0, 1]), np.array([2, 2, 0])
    sampling = LinearSampling(cell, sample, time, np.array([0.5, 0.25, 2.0]), cells=2, samples=2, length=3)
    expected = torch.zeros(2, 2, 3)
    expected[1, 0, 2], expected[0, 1, 0] = 0.75, 2.0
    assert torch.equal(sampling.dense(), expected)


def test_an_entry_outside_the_map_is_refused() -> None:
    index = np.array([1])
    with pytest.raises(SolaError, match="sample of an entry"):
        LinearSampling(index, index, index, np.ones(1), cells=2, samples=1, length=2)


def test_sampling_of_bfloat16_uses_float32_weights() -> None:
    twice, once = np.zeros(2, np.int64), np.arange(2)
    weight = np.array([1 + 2**-10, -1.0])  # the first rounds to 1 in bfloat16
    sampling = LinearSampling(twice, twice, once, weight, cells=1, samples=1, length=2)
    assert sampling(torch.ones(1, 1, 2, 1, dtype=torch.bfloat16)).item() == 2**-10


# the layer


@pytest.mark.parametrize(
    ("length", "longest", "layout", "end_inclusive", "channels"),
    [
        (7, 7, "duration_start", False, 5),
        (7, 7, "start_end", True, 5),
        (9, 4, "duration_start", True, 5),
        (9, 4, "start_end", False, 5),
        (1, 1, "duration_start", False, 5),
        (100, 100, "duration_start", False, 4),
    ],
)
def test_boundary_matching_is_sampling_then_convolution(
    length: int, longest: int, layout: Any, end_inclusive: bool, channels: int
) -> None:
    """Compare outputs, and gradients of features, weights and biases."""
    geometry: dict[str, Any] = {"samples": 8, "points": 3, "context": 0.5, "end_inclusive": end_inclusive}
    if length == 100:
        geometry["samples"] = 32
    proposals = ProposalMap(length, longest, layout)
    layer = BoundaryMatching(channels, 6, proposals, **geometry)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, channels, length, generator=generator, requires_grad=True)
    valid = torch.from_numpy(proposals.valid)
    whole = definition(features, dense_mask(length, layout, longest, **geometry), layer.conv.weight, layer.conv.bias)
    expected = whole[:, :, valid].transpose(1, 2)
    got = layer(features)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert (whole[:, :, ~valid] == layer.absent()[:, None]).all()

    upstream = torch.randn(got.shape, generator=generator) / got[0].numel() ** 0.5
    inputs = features, layer.conv.weight, layer.conv.bias
    for actual, plain in zip(
        torch.autograd.grad(got, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(actual, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("values", [{"samples": 1, "points": 1}, {"points": 0}, {"context": -0.1}, {"hidden": 0}])
def test_invalid_matching_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SolaError):
        BoundaryMatching(**{"channels": 4, "hidden": 4, "proposals": ProposalMap(4), **values})


# the head


def small(**values: Any) -> BMN:
    sizes = {"hidden": 16, "proposal_channels": 12, "matching_channels": 24, "map_channels": 10, "samples": 8}
    head = BMN(8, **{"length": 11, **sizes, **values})
    set_weights(head, 0)
    return head


def plain_forward(head: BMN, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run the network as in the paper, with the weights of the head."""
    base = head.base(features)
    cells = definition(head.reduce(base), mask, head.matching.conv.weight, head.matching.conv.bias)
    return head.confidence(cells), head.start(base)[:, 0], head.end(base)[:, 0]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"layout": "start_end", "end_inclusive": True},
        {"max_duration": 4},
        {"max_duration": 4, "layout": "start_end"},
    ],
)
def test_head_equals_its_definition(values: dict[str, Any]) -> None:
    """Compare outputs on the whole map, and the gradient of every weight."""
    head = small(**values)
    mask = dense_mask(
        11,
        values.get("layout", "duration_start"),
        values.get("max_duration", 11),
        samples=8,
        points=3,
        context=0.5,
        end_inclusive=values.get("end_inclusive", False),
    )
    features = torch.randn(3, 8, 11, generator=torch.Generator().manual_seed(1))
    prediction = head(features)
    got = prediction.confidence, prediction.start, prediction.end
    expected = plain_forward(head, features, mask)
    weights = list(head.parameters())
    gradients = []
    for parts in (got, expected):
        upstream = [torch.randn(part.shape, generator=torch.Generator().manual_seed(2)) / 100 for part in parts]
        gradients.append(torch.autograd.grad(parts, weights, upstream))
    for actual, plain in zip((*got, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(actual, plain, atol=1e-5, rtol=1e-4)
    assert prediction.confidence.std() > 0.05


def test_defaults_are_those_of_the_paper() -> None:
    head = BMN(400)
    assert head.proposals.shape == (100, 100)
    assert tuple(head.reduce[0].weight.shape) == (128, 256, 3)
    assert tuple(head.matching.conv.weight.shape) == (512, 128, 32, 1, 1)


def test_the_state_dict_has_only_the_weights() -> None:
    head = small()
    assert set(head.state_dict()) == {name for name, _ in head.named_parameters()}


def test_outputs_with_bfloat16_autocast_are_close() -> None:
    head = small()
    features = torch.randn(2, 8, 11, generator=torch.Generator().manual_seed(1))
    exact = head(features).confidence
    with torch.autocast("cpu", torch.bfloat16):
        prediction = head(features)
    prediction.confidence.float().sum().backward()
    torch.testing.assert_close(prediction.confidence.float(), exact, atol=0.05, rtol=0)
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.slow
def test_head_learns_the_proposals_of_one_clip() -> None:
    torch.manual_seed(0)
    head, generator = small(length=16), torch.Generator().manual_seed(0)
    features = torch.randn(2, 8, 16, generator=generator)
    instances = [torch.tensor([[2.0, 9.0]]), torch.tensor([[0.0, 4.0], [8.0, 16.0]])]
    targets = head.targets(instances, [], 16)
    optimizer = torch.optim.Adam(head.parameters(), lr=2e-3)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(head(features), targets, generator).backward()
        optimizer.step()
    best = [
        (decoded.start[decoded.score.argmax()], decoded.end[decoded.score.argmax()])
        for decoded in head.decode(head(features))
    ]
    assert best[0] == (2.0, 9.0)
    assert best[1] in [(0.0, 4.0), (8.0, 16.0)]


def test_the_score_is_the_product_of_four_probabilities() -> None:
    head = small()
    prediction = head(torch.randn(1, 8, 11, generator=torch.Generator().manual_seed(3)))
    (decoded,) = head.decode(prediction)
    row = int(np.flatnonzero((decoded.start == 2) & (decoded.end == 6))[0])
    confidence = prediction.confidence[0, :, 3, 2]
    expected = confidence[0] * confidence[1] * prediction.start[0, 2] * prediction.end[0, 6]
    assert decoded.score[row] == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [{"channels": 6}, {"channels": 8, "hidden": 10}, {"channels": 8, "map_channels": 0}, {"anchor": (1.0, 0.0)}],
)
def test_invalid_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SolaError, match=list(values)[-1]):
        BMN(**{"channels": 8, "length": 4, **values})


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(SolaError, match=r"\(8, 12\).*\(8, 11\)"):
        small()(torch.zeros(1, 8, 12))


# checkpoints of the published programs


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


def reference_folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"no {variable}: name a clone of the published program to compare with it")
    return Path(folder)


def imported(name: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_equal_outputs(head: BMN, features: Tensor, expected: tuple[Tensor, Tensor, Tensor]) -> MapPrediction:
    """Compare with the expected confidence map, start and end probabilities."""
    with torch.no_grad():
        prediction = head(features)
    for got, reference in zip((prediction.confidence, prediction.start, prediction.end), expected, strict=True):
        assert reference.std() > 0.05
        torch.testing.assert_close(got, reference, atol=1e-5, rtol=0)
    return prediction


def test_equals_the_program_of_jjboy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare outputs, targets, and the two losses that run without a GPU there; pandas is replaced by a stub."""
    folder = reference_folder("SOLA_BMN_REFERENCE")
    sizes = {"temporal_scale": 100, "feat_dim": 400, "prop_boundary_ratio": 0.5}
    model = imported("jjboy_models", folder / "models.py").BMN({**sizes, "num_sample": 32, "num_sample_perbin": 3})
    set_weights(model, 0)
    torch.save({"epoch": 1, "state_dict": nn.DataParallel(model).state_dict()}, tmp_path / "bmn.pth.tar")
    features = torch.randn(2, 400, 100, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(features)
    head = checkpoint.load(tmp_path / "bmn.pth.tar")
    prediction = assert_equal_outputs(head, features, expected)

    losses = imported("jjboy_losses", folder / "loss_function.py")
    instances = [torch.tensor([[10.0, 60.0]]), torch.tensor([[5.0, 30.0], [40.3, 99.1]])]
    targets = head.targets(instances, [], 100)
    actual = map_loss(head.proposals, prediction, targets, torch.Generator().manual_seed(0))
    boundary = losses.tem_loss_func(prediction.start, prediction.end, targets.start, targets.end)
    classification = losses.pem_cls_loss_func(prediction.confidence[:, 1], targets.iou, losses.get_mask(100))
    assert actual.boundary.item() == pytest.approx(boundary.item(), abs=1e-5)
    assert actual.classification.item() == pytest.approx(classification.item(), abs=1e-5)

    monkeypatch.setitem(sys.modules, "pandas", types.ModuleType("pandas"))
    monkeypatch.setitem(sys.modules, "utils", imported("jjboy_utils", folder / "utils.py"))
    dataset = imported("jjboy_dataset", folder / "dataset.py").VideoDataSet
    video = {"duration_frame": 1000, "duration_second": 100.0, "feature_frame": 1000}
    video["annotations"] = [{"segment": instance} for instance in instances[1].tolist()]
    anchors = [(t - 0.5) / 100 for t in range(100)], [(t + 0.5) / 100 for t in range(100)]
    data = types.SimpleNamespace(video_list=["one"], video_dict={"one": video}, temporal_gap=0.01, temporal_scale=100)
    for reference, got in zip(
        dataset._get_train_label(data, 0, *anchors), (targets.start[1], targets.end[1], targets.iou[1]), strict=True
    ):
        torch.testing.assert_close(got, reference, atol=1e-5, rtol=0)


def test_equals_mmaction2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare outputs, targets and proposals before suppression; mmengine and the registry are replaced by stubs."""
    detectors = reference_folder("SOLA_MMACTION2_REFERENCE") / "mmaction/models/localizers"
    registry = types.SimpleNamespace(register_module=lambda: lambda module: module, build=lambda config: None)
    utils = imported("mmaction2_utils", detectors / "utils/proposal_utils.py")
    utils.post_processing = lambda proposals, *settings: proposals
    for name, module in {
        "mmengine": types.SimpleNamespace(),
        "mmengine.model": types.SimpleNamespace(BaseModel=nn.Module),
        "mmaction": types.SimpleNamespace(),
        "mmaction.registry": types.SimpleNamespace(MODELS=registry),
        "mmaction2_localizers": types.SimpleNamespace(__path__=[str(detectors)]),
        "mmaction2_localizers.utils": utils,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    settings = {"soft_nms_alpha": 0.4, "soft_nms_low_threshold": 0.5, "soft_nms_high_threshold": 0.9}
    model = imported("mmaction2_localizers.bmn", detectors / "bmn.py").BMN(
        100, 0.5, 32, 3, 400, post_process_top_k=100, **settings
    )
    set_weights(model, 0)
    torch.save({"meta": {}, "state_dict": model.state_dict()}, tmp_path / "bmn.pth")
    features = torch.randn(2, 400, 100, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model._forward(features)
    head = checkpoint.load(tmp_path / "bmn.pth")
    prediction = assert_equal_outputs(head, features, expected)

    sample = types.SimpleNamespace(metainfo={"video_name": "one"})
    with torch.no_grad():
        (result,) = model.predict(features, [sample])
    reference = result["proposal_list"][:, [0, 1, 6]]
    decoded = head.decode(prediction)[0]
    np.testing.assert_allclose(
        np.stack([decoded.start / 100, decoded.end / 100, decoded.score], 1), reference, atol=1e-5
    )
    assert len(decoded) > 100

    instances = torch.tensor([[0.1, 0.634], [0.401, 0.99]], dtype=torch.float64)
    iou, start, end = model.generate_labels([instances])
    actual = head.targets([instances * 100], [], 100)
    valid = torch.from_numpy(head.proposals.valid)
    np.testing.assert_allclose(actual.iou[:, valid], iou[:, valid], atol=1e-5)
    np.testing.assert_allclose(actual.start, start, atol=1e-5)
    np.testing.assert_allclose(actual.end, end, atol=1e-5)
