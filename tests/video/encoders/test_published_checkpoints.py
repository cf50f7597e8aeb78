"""Behavior shared by the encoders of published checkpoints, tested for each of them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from support import internvideo2, videomae2
from support.calling import sola
from support.encoder_checkpoints import CPU, checkpoint, some_frames
from support.rendering import render

from sola.data.manifest import Manifest
from sola.video.decoding import shown_frames
from sola.video.encoders.internvideo2 import InternVideo2Encoder
from sola.video.encoders.loading import load_encoder
from sola.video.encoders.published_checkpoints import PublishedEncoder
from sola.video.encoders.videomae2 import VideoMAE2Encoder

pytest.importorskip("transformers")

Weights = dict[str, torch.Tensor]


class Case(NamedTuple):
    """An encoder with one block and random weights."""

    encoder: type[PublishedEncoder]
    weights: Callable[[], Weights]
    by_definition: Callable[[Weights, np.ndarray], torch.Tensor]
    """Plain definition of features, for the frames that the network reads."""
    step: int
    """Stride of these frames in a window."""
    dim: int
    half: torch.dtype
    """Precision of published weights below float32."""
    file: str
    """File of a published checkpoint."""
    name: str
    """Name of the encoder from that file."""


CASES = {
    "VideoMAE V2": Case(
        VideoMAE2Encoder,
        lambda: videomae2.weights_of(blocks=1),
        videomae2.by_definition,
        step=1,
        dim=384,
        half=torch.half,
        file="vit.pth",
        name="vit",
    ),
    "InternVideo2": Case(
        InternVideo2Encoder,
        lambda: internvideo2.weights_of(blocks=1, frames=8),
        internvideo2.by_definition,
        step=2,
        dim=48,
        half=torch.bfloat16,
        file="B14_ft_k710_f8/pytorch_model.bin",
        name="B14_ft_k710_f8",
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_a_feature_does_not_depend_on_its_batch(case: Case, tmp_path: Path) -> None:
    encoder, frames = load_encoder(checkpoint(tmp_path / "a.pth", case.weights()), CPU), some_frames(3)
    separate = np.concatenate([encoder(window[None]) for window in frames])
    np.testing.assert_allclose(separate, encoder(frames), atol=1e-5)


def test_other_weights_give_another_encoder(case: Case, tmp_path: Path) -> None:
    weights = case.weights()
    encoder = load_encoder(checkpoint(tmp_path / "a.pth", weights), CPU)
    weights["fc_norm.bias"][0] += 1
    assert load_encoder(checkpoint(tmp_path / "b.pth", weights), CPU).identity != encoder.identity


def test_half_precision_weights_are_used_in_single_precision(case: Case, tmp_path: Path) -> None:
    weights, frames = {name: weight.to(case.half) for name, weight in case.weights().items()}, some_frames(1)
    encoder = load_encoder(checkpoint(tmp_path / "half.pth", weights), CPU)
    np.testing.assert_allclose(encoder(frames), case.by_definition(weights, frames[:, :: case.step]), atol=1e-5)


def test_extract_encodes_the_published_windows(case: Case, tmp_path: Path) -> None:
    """A video at 30 frames per second has the published windows at the published times, and three more."""
    path = render(tmp_path / "a.mp4", count=40, rate=30)
    source = checkpoint(tmp_path / case.file, case.weights())
    assert sola("extract", str(path), "--encoder", source, "--out", str(tmp_path / "f"), "--dtype", "float32") == 0
    features = np.load(tmp_path / "f" / "a.npy")
    frames = np.array([case.encoder.framing(timed.frame) for timed in shown_frames(path)])
    published = np.array([frames[begin : begin + 16] for begin in range(0, 40 - 15, 4)])
    assert features.shape == (10, case.dim)
    np.testing.assert_allclose(features[:7], load_encoder(source, CPU)(published), atol=1e-5)
    manifest = Manifest.read(tmp_path / "f")
    assert manifest.timing() == {"fps": 30.0, "stride": 4.0, "window": 16.0, "offset": 0.0}
    assert (manifest.encoder, manifest.dim) == (case.name, case.dim)
