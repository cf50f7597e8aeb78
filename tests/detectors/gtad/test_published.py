"""G-TAD equals the published network in plain code, and the authors' code in a clone."""

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.gtad import CLOSE, align, published_network, published_state
from support.weights import noise
from torch import Tensor

from sola.detectors.gtad import checkpoint
from sola.detectors.gtad.network import GTAD
from sola.detectors.proposal_map.map import MapPrediction


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


def test_32_context_bins_and_3x3_convolutions_have_9495428_parameters_as_published() -> None:
    head = GTAD(400, length=10, context_bins=32, kernel_size=3)
    assert sum(p.numel() for p in head.parameters()) == 9_495_428


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
