"""Compare G-TAD with the published network in plain code: align every cell of the map, then 1×1 convolution."""

import argparse
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.alignment_kernel import kernel
from torch import Tensor
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.core.published import published_weights
from sola.detectors.gtad import checkpoint
from sola.detectors.gtad.alignment import SubgraphAlignment
from sola.detectors.gtad.gcnext import GCNeXt, gather_neighbors, nearest_neighbors
from sola.detectors.gtad.network import GTAD
from sola.detectors.proposal_map.map import MapPrediction

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def graph_in_loops(x: Tensor, k: int) -> list[list[list[int]]]:
    """Return the k nearest snippets of each snippet of each clip [channels, time]."""
    return [
        [
            sorted(range(clip.shape[1]), key=lambda n, t=t, clip=clip: float((clip[:, n] - clip[:, t]).norm()))[:k]
            for t in range(clip.shape[1])
        ]
        for clip in x.detach().double()
    ]


def of_neighbors(x: Tensor, k: int) -> Tensor:
    """Return the features of the neighbors as [batch, channels, time, k]."""
    graph = graph_in_loops(x, k)
    return torch.stack([clip[:, torch.tensor(index)] for clip, index in zip(x, graph, strict=True)])


def align(x: Tensor, regions: list[tuple[float, float]], bins: int) -> Tensor:
    """Align with the weights of the kernel in plain loops, as [batch, channels, regions, bins]."""
    weights = np.array([kernel(start, end, bins, x.shape[2]) for start, end in regions])
    return torch.einsum("bct,rnt->bcrn", x, torch.tensor(weights, dtype=x.dtype))


def aligned_map(x: Tensor, regions: list[tuple[float, float]], bins: int, context_bins: int, k: int) -> Tensor:
    """Return aligned features as [batch, channels·(bins + context_bins), regions], channels first."""
    inner = align(x, regions, bins)
    context = align(of_neighbors(x, k).mean(-1), regions, context_bins)
    return torch.cat([inner, context], dim=3).transpose(2, 3).flatten(1, 2)


def regions_of(length: int, durations: int, end_inclusive: bool = False) -> list[tuple[float, float]]:
    """Return the region of every cell [duration, start], row by row."""
    regions = []
    for d in range(durations):
        for s in range(length):
            last = s + d + (1 if end_inclusive else 0)
            half = 0.5 * (d + 1)
            regions.append((s - half, last + half) if s + d < length else (0.0, 0.0))
    return regions


# published layers and shapes with the defaults of the branch `anet`
BLOCK = {
    "tconvs.0": (128, 256, 1),
    "tconvs.2": (128, 4, 3),
    "tconvs.4": (256, 128, 1),
    "sconvs.0": (128, 512, 1, 1),
    "sconvs.2": (128, 4, 1, 1),
    "sconvs.4": (256, 128, 1, 1),
}
PUBLISHED = {
    "backbone1.0": (256, 100, 3),
    **{f"{at}.{name}": s for at in ("backbone1.2", "regu_s.0", "regu_e.0", "backbone2.0") for name, s in BLOCK.items()},
    "regu_s.1": (1, 256, 1),
    "regu_e.1": (1, 256, 1),
    "localization.0": (512, 9216, 1, 1),
    "localization.2": (128, 512, 1, 1),
    "localization.4": (128, 128, 1, 1),
    "localization.6": (128, 128, 1, 1),
    "localization.8": (2, 128, 1, 1),
}


def published_state(
    channels: int = 400, bins: int = 36, projected: int = 512, kernel_size: int = 1
) -> dict[str, Tensor]:
    """Random weights under the published names and shapes."""
    shapes = PUBLISHED | {
        "backbone1.0": (256, channels // 4, 3),
        "localization.0": (projected, 256 * bins, 1, 1),
        "localization.2": (128, projected, 1, 1),
        "localization.4": (128, 128, kernel_size, kernel_size),
        "localization.6": (128, 128, kernel_size, kernel_size),
    }
    state = {}
    for seed, (name, shape) in enumerate(shapes.items()):
        # large enough for probabilities that differ between cells
        state[f"{name}.weight"] = 1.5 * noise(*shape, seed=seed) / np.prod(shape[1:]) ** 0.5
        state[f"{name}.bias"] = 0.1 * noise(shape[0], seed=100 + seed)
    return state


def published_network(
    state: dict[str, Tensor], x: Tensor, durations: int, bins: int, context_bins: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return map, start and end as defined in the paper and the published code."""

    def conv(name: str, x: Tensor, groups: int = 1, padding: int = 0) -> Tensor:
        function = F.conv1d if x.ndim == 3 else F.conv2d
        return function(x, state[f"{name}.weight"], state[f"{name}.bias"], groups=groups, padding=padding)

    def block(name: str, x: Tensor) -> Tensor:
        t = conv(f"{name}.tconvs.0", x).relu()
        t = conv(f"{name}.tconvs.2", t, groups=32, padding=1).relu()
        t = conv(f"{name}.tconvs.4", t)
        s = torch.cat([of_neighbors(x, 3), x[..., None].expand(-1, -1, -1, 3)], dim=1)
        s = conv(f"{name}.sconvs.0", s).relu()
        s = conv(f"{name}.sconvs.2", s, groups=32).relu()
        s = conv(f"{name}.sconvs.4", s).max(-1).values
        return (t + x + s).relu()

    base = block("backbone1.2", conv("backbone1.0", x, groups=4, padding=1).relu())
    start = conv("regu_s.1", block("regu_s.0", base)).sigmoid()[:, 0]
    end = conv("regu_e.1", block("regu_e.0", base)).sigmoid()[:, 0]
    features = aligned_map(block("backbone2.0", base), regions_of(x.shape[2], durations), bins, context_bins, 3)
    image = conv("localization.0", features.unflatten(2, (durations, -1))).relu()
    image = conv("localization.2", image).relu()
    reach = state["localization.4.weight"].shape[-1] // 2
    image = conv("localization.4", image, padding=reach).relu()
    image = conv("localization.6", image, padding=reach).relu()
    return conv("localization.8", image).sigmoid(), start, end


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a state dict in the published format."""

    def save(state: dict[str, Tensor]) -> Path:
        path = tmp_path / "GTAD_best.pth.tar"
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
        return path

    return save


def test_neighbors_are_the_nearest_in_feature_space() -> None:
    x = noise(2, 5, 12)
    assert nearest_neighbors(x, 4).tolist() == graph_in_loops(x, 4)


def test_neighbors_are_computed_in_float32_under_autocast() -> None:
    x = noise(1, 8, 40) + 100
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nearest_neighbors(x, 3).tolist() == nearest_neighbors(x, 3).tolist()
        assert nearest_neighbors(x, 3)[..., 0].tolist() == [list(range(40))]


def test_gathering_neighbors() -> None:
    x = noise(2, 5, 9)
    torch.testing.assert_close(gather_neighbors(x, nearest_neighbors(x, 3)), of_neighbors(x, 3))


def test_too_few_snippets_for_the_graph_are_refused() -> None:
    with pytest.raises(SolaError, match="clip of 2 snippets"):
        nearest_neighbors(torch.zeros(1, 4, 2), 3)


def block_by_definition(block: GCNeXt, x: Tensor) -> Tensor:
    """Process every edge separately: concat(neighbor, snippet), three layers, and the maximum over the edges."""
    k = block.neighbors
    edge = torch.cat([of_neighbors(x, k), x[..., None].expand(-1, -1, -1, k)], dim=1)
    grouped, last = block.semantic[1], block.semantic[3]
    s = F.conv2d(edge, block.edge.weight[..., None], block.edge.bias).relu()
    s = F.conv2d(s, grouped.weight[..., None], grouped.bias, groups=grouped.groups).relu()
    s = F.conv2d(s, last.weight[..., None], last.bias)
    return (block.temporal(x) + x + s.amax(-1)).relu()


@pytest.mark.parametrize("neighbors", [1, 3])
def test_graph_block_equals_its_definition_with_gradients(neighbors: int) -> None:
    torch.manual_seed(0)
    block = GCNeXt(8, neighbors=neighbors, groups=4, group_width=3)
    x = noise(2, 8, 11).requires_grad_()
    inputs = [x, *block.parameters()]
    got, expected = block(x), block_by_definition(block, x)
    torch.testing.assert_close(got, expected, **CLOSE)
    weight = noise(*got.shape, seed=1)
    for actual, reference in zip(
        torch.autograd.grad((got * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(actual, reference, **CLOSE)


@pytest.mark.parametrize(
    ("length", "channels", "hidden", "bins", "context_bins"), [(7, 6, 5, 4, 2), (100, 4, 6, 32, 4)]
)
def test_alignment_equals_align_then_convolve_with_gradients(
    length: int, channels: int, hidden: int, bins: int, context_bins: int
) -> None:
    torch.manual_seed(0)
    regions = list(dict.fromkeys(regions_of(length, length)))  # [0, 0] once
    start, end = np.array(regions).T
    layer = SubgraphAlignment(channels, hidden, start, end, length=length, bins=bins, context_bins=context_bins)
    x = noise(2, channels, length).requires_grad_()
    got = layer(x)

    weight = torch.cat([layer.weight, layer.context_weight]).permute(1, 2, 0).flatten(1)
    expected = F.conv1d(aligned_map(x, regions, bins, context_bins, 3), weight[..., None], layer.bias).transpose(1, 2)
    torch.testing.assert_close(got, expected, **CLOSE)
    # a mean over the cells, like a loss
    factor = noise(*got.shape, seed=1) / len(regions)
    inputs = [x, *layer.parameters()]
    for actual, reference in zip(
        torch.autograd.grad((got * factor).sum(), inputs),
        torch.autograd.grad((expected * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(actual, reference, **CLOSE)


def test_alignment_without_context() -> None:
    layer = SubgraphAlignment(4, 3, np.array([0.0]), np.array([6.0]), length=8, bins=3, context_bins=0)
    x = noise(1, 4, 8)
    expected = F.conv1d(
        align(x, [(0.0, 6.0)], 3).transpose(2, 3).flatten(1, 2), layer.weight.permute(1, 2, 0).flatten(1)[..., None]
    )
    torch.testing.assert_close(layer(x), expected.transpose(1, 2) + layer.bias, **CLOSE)


def test_alignment_of_half_precision_inputs_sums_in_float32() -> None:
    start, end = np.array(regions_of(12, 12)).T
    layer = SubgraphAlignment(8, 6, start, end, length=12)
    x = noise(1, 8, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = layer(x)
    torch.testing.assert_close(got.float(), layer(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("length", "durations", "bins", "context_bins", "kernel_size"),
    [(10, 10, 32, 4, 1), (12, 5, 16, 16, 3)],
    ids=["activitynet", "thumos14"],
)
def test_published_weights_give_the_published_outputs(
    saved: Callable[..., Path], length: int, durations: int, bins: int, context_bins: int, kernel_size: int
) -> None:
    state = published_state(8, bins + context_bins, projected=16, kernel_size=kernel_size)
    head = checkpoint.load(saved(state), length=length, max_duration=durations, bins=bins, context_bins=context_bins)
    x = noise(2, 8, length).requires_grad_()
    got = head(x)
    outputs = got.confidence, got.start, got.end
    expected = published_network(state, x, durations, bins, context_bins)
    assert (expected[0].amax((0, 2, 3)) - expected[0].amin((0, 2, 3)) > 0.05).all(), "the oracle must tell cells apart"
    for actual, reference in zip(outputs, expected, strict=True):
        torch.testing.assert_close(actual, reference, **CLOSE)
    (actual,) = torch.autograd.grad(sum(o.square().mean() for o in outputs), x)
    (reference,) = torch.autograd.grad(sum(o.square().mean() for o in expected), x)
    torch.testing.assert_close(actual, reference, **CLOSE)


def test_published_checkpoint_of_full_size_loads(saved: Callable[..., Path]) -> None:
    head = checkpoint.load(saved(published_state()))
    assert sum(p.numel() for p in head.parameters()) == 5_563_268


def test_32_context_bins_and_3x3_convolutions_have_9495428_parameters_as_published() -> None:
    head = GTAD(400, length=10, context_bins=32, kernel_size=3)
    assert sum(p.numel() for p in head.parameters()) == 9_495_428


def test_checkpoint_of_another_network_is_refused(saved: Callable[..., Path]) -> None:
    state = published_state(8, projected=16)
    del state["regu_s.1.bias"]
    with pytest.raises(SolaError, match=r"lacks regu_s\.1\.bias; it has the unexpected head\.weight"):
        checkpoint.load(saved({**state, "head.weight": torch.zeros(1)}))


def test_checkpoint_with_other_bins_is_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(SolaError, match=r"\[16, 8192, 1, 1\], which is not 32 \+ 4 bins of 256"):
        checkpoint.load(saved(published_state(8, 32, projected=16)))


def test_checkpoint_whose_shapes_do_not_fit_is_refused(saved: Callable[..., Path]) -> None:
    state = published_state(8, projected=16) | {"regu_e.1.weight": torch.zeros(1, 64, 1)}
    with pytest.raises(SolaError, match=r"regu_e\.1\.weight is \[1, 64, 1\]"):
        checkpoint.load(saved(state))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "not a PyTorch checkpoint"),
        (b"", "not a PyTorch checkpoint"),
        (None, "cannot be read"),
        ([1, 2], "expected a state dict"),
        ({"state_dict": {"weight": 1}}, "expected a state dict"),
        ({"state_dict": {}, "options": argparse.Namespace()}, "objects other than weights"),
    ],
    ids=["text", "empty", "absent", "list", "numbers", "objects"],
)
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(SolaError, match=f"weights.pth: .*{message}"):
        published_weights(path)


def test_checkpoint_may_be_a_bare_state_dict(tmp_path: Path) -> None:
    torch.save({"module.weight": torch.ones(2)}, tmp_path / "weights.pth")
    assert published_weights(tmp_path / "weights.pth")["weight"].tolist() == [1, 1]


def test_region_up_to_the_end_unit() -> None:
    """Regions of OpenTAD extend to s + d + 1, which affects only the map."""
    torch.manual_seed(0)
    actual = GTAD(8, 6, projected=16, end_inclusive=True)
    start, end = np.array(regions_of(6, 6, end_inclusive=True)).T
    same = SubgraphAlignment(256, 16, start, end, length=6)
    same.load_state_dict(actual.alignment.state_dict())
    x = noise(1, 256, 6)
    torch.testing.assert_close(actual.alignment(x)[:, actual.cell], same(x), **CLOSE)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_every_weight_has_a_gradient(kernel_size: int) -> None:
    torch.manual_seed(0)
    head = GTAD(8, 9, projected=16, kernel_size=kernel_size)
    prediction = head(noise(2, 8, 9))
    (prediction.confidence.sum() + prediction.start.sum() + prediction.end.sum()).backward()
    still = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_clips_of_another_length_are_refused() -> None:
    with pytest.raises(SolaError, match=r"\(8, 12\) .* built for \(8, 9\)"):
        GTAD(8, 9, projected=16)(noise(1, 8, 12))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 6}, "channels=6"),
        ({"length": 2}, "length=2"),
        ({"kernel_size": 2}, "kernel_size=2"),
        ({"max_duration": 10}, "max_duration=10"),
        ({"context_bins": -1}, "bins=-1"),
        ({"bins": 1025}, "bins=1025"),
        ({"anchor": (1.0, 0.0)}, "anchor"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, message: str) -> None:
    with pytest.raises(SolaError, match=message):
        GTAD(**{"channels": 8, "length": 9, **values})


def published_proposals(start: Tensor, end: Tensor, cls: Tensor, reg: Tensor) -> list[tuple[float, float, float]]:
    """Return the proposals of the published inference for a clip, with the score of its post-processing."""
    length = len(start)

    def candidates(p: list[float], always: int) -> set[int]:
        result = {always}
        for t in range(1, length - 1):
            if p[t] > max(p[t - 1], p[t + 1]) or p[t] > 0.5 * max(p):
                result.add(t)
        return result

    starts, ends = candidates(start.tolist(), 0), candidates(end.tolist(), length - 1)
    return [
        (s / length, (s + d + 1) / length, float(cls[d, s] * reg[d, s]))
        for d in range(len(cls))
        for s in range(length)
        if s + d + 1 < length and s in starts and s + d + 1 in ends
    ]


def test_decoding_equals_the_published_code() -> None:
    head = GTAD(8, 12, max_duration=7, projected=16, final_boundary=False)
    uniform = torch.rand(2, 2 * 7 * 12 + 24, generator=torch.Generator().manual_seed(0))
    confidence, start, end = uniform.split([2 * 7 * 12, 12, 12], dim=1)
    prediction = MapPrediction(confidence.unflatten(1, (2, 7, 12)), start**3, end**3)
    for clip, decoded in enumerate(head.decode(prediction)):
        reg, cls = prediction.confidence[clip]
        expected = published_proposals(prediction.start[clip], prediction.end[clip], cls, reg)
        assert 5 < len(expected) < 50
        got = np.stack([decoded.start / 12, decoded.end / 12, decoded.score], 1)
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("candidates_only", [True, False])
def test_a_loaded_head_decodes_like_the_published_code(saved: Callable[..., Path], candidates_only: bool) -> None:
    state = published_state(8, projected=16)
    head = checkpoint.load(saved(state), length=6, candidates_only=candidates_only)
    # no peak and no value above half the maximum, except at snippet 3
    boundary = torch.tensor([[0.1, 0.1, 0.1, 0.9, 0.1, 0.1]])
    (decoded,) = head.decode(MapPrediction(torch.ones(1, 2, 6, 6), boundary, boundary))
    pairs = set(zip(decoded.start.tolist(), decoded.end.tolist(), strict=True))
    every = {(float(s), float(e)) for s in range(6) for e in range(s + 1, 6)}
    assert pairs == ({(0.0, 3.0), (0.0, 5.0), (3.0, 5.0)} if candidates_only else every)


def test_alignment_is_initialized_like_a_linear_layer() -> None:
    torch.manual_seed(0)
    layer = SubgraphAlignment(16, 50, np.zeros(1), np.ones(1), length=4)
    linear = torch.nn.Linear(16 * 36, 50)
    for weight in (layer.weight, layer.context_weight):
        assert weight.std().item() == pytest.approx(linear.weight.std().item(), rel=0.05)
    assert layer.bias.abs().max() <= (16 * 36) ** -0.5


def test_targets_use_the_map_and_the_anchor() -> None:
    head = GTAD(8, 6, projected=16)
    targets = head.targets([torch.tensor([[1.0, 4.0]])], [], 6)
    assert targets.iou[0, 2, 1] == 1
    # the region of the start is [-.5, 2.5], and the anchor of snippet 2 is [1.5, 3.5]
    assert targets.start[0, 2] == 0.5


@pytest.mark.parametrize(("length", "durations"), [(20, 20), pytest.param(64, 24, marks=pytest.mark.slow)])
def test_outputs_equal_the_authors_code(
    length: int, durations: int, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use the clone at SOLA_GTAD_REFERENCE (any branch); plain loops replace its CUDA kernel."""
    clone = os.environ.get("SOLA_GTAD_REFERENCE")
    if clone is None:
        pytest.skip("no clone of the authors' repository; name one in SOLA_GTAD_REFERENCE")
    operator = types.ModuleType("Align1D")

    def forward(x: Tensor, rois: Tensor, bins: int, ratio: int) -> Tensor:
        assert ratio == 0
        per_clip = []
        for clip in range(len(x)):
            regions = [(start, end) for index, start, end in rois.tolist() if index == clip]
            per_clip.append(align(x[clip : clip + 1], regions, bins)[0].transpose(0, 1))
        return torch.cat(per_clip)

    operator.forward = forward  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "Align1D", operator)
    monkeypatch.syspath_prepend(clone)
    monkeypatch.setattr(sys, "argv", ["gtad"])
    monkeypatch.setattr(Tensor, "cuda", lambda self: self)
    from gtad_lib import models, opts  # type: ignore[import-not-found]

    option = vars(opts.parse_opt()) | {
        "feat_dim": 16,
        "temporal_scale": length,
        "max_duration": length if option_is_square(opts) else durations,
        "batch_size": 2,
    }
    torch.manual_seed(0)
    reference = models.GTAD(option)
    for name, parameter in reference.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    x = noise(2, 16, length)
    with torch.no_grad():
        expected = reference(x)
        model = checkpoint.load(
            saved(reference.state_dict()),
            length=length,
            max_duration=option["max_duration"],
            bins=reference.goi_align.resolution,
            context_bins=reference.goi_align.align_context.feature_dim,
        )
        got = model(x)
    for output, target in zip((got.confidence, got.start, got.end), expected, strict=True):
        assert target.std() > 0.01, "weights too small for outputs to differ"
        torch.testing.assert_close(output, target, **CLOSE)


def option_is_square(opts: types.ModuleType) -> bool:
    """Return whether the map of the branch is T × T: `anet` reshapes only by T."""
    option = vars(opts.parse_opt())
    return bool(option["temporal_scale"] == option["max_duration"])
