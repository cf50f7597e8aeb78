"""Shapes, training and features of the encoder of the rendered benchmark, which is trained on trimmed clips."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("cv2", reason="drawing the figure needs opencv-python-headless")

from rendered import pretraining
from rendered.clip_encoder import ClipEncoder
from rendered.clip_network import CHANNELS, SIDE, WINDOW, ClipNetwork
from rendered.features import features_of, write_features
from rendered.timeline import Piece
from rendered.trimmed import KNOWN, clips, known
from rendered.video import Video
from rendered.world import VideoSpec, videos

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.video.encoders.base import Encoder

CPU = torch.device("cpu")


def noise(count: int, frames: int = WINDOW) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, frames, SIDE, SIDE, 3), np.uint8)


def tiny(seed: int) -> dict[str, torch.Tensor]:
    """Return the weights after two training steps."""
    pictures, labels = noise(4, WINDOW + 2), np.array([0, 1, 2, 3])
    return pretraining.trained(pictures, labels, seed=seed, epochs=2, batch=4).state_dict()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network with updated normalization statistics, so that folding them changes the result."""
    path = tmp_path_factory.mktemp("weights") / "clip.safetensors"
    torch.manual_seed(0)
    network = ClipNetwork(len(KNOWN))
    for step in range(3):
        network(torch.from_numpy(noise(4)) // (step + 1))
    pretraining.write(network, path)
    return path


@pytest.fixture(scope="module")
def encoder(weights: Path) -> ClipEncoder:
    return ClipEncoder(weights, CPU)


class TestNetwork:
    def test_windows_give_features_and_scores(self) -> None:
        network, frames = ClipNetwork(5), torch.from_numpy(noise(3))
        assert network.features(frames).shape == (3, CHANNELS)
        assert network(frames).shape == (3, 5)

    def test_has_fewer_than_a_million_parameters(self) -> None:
        assert 300_000 < sum(parameter.numel() for parameter in ClipNetwork(16).parameters()) < 1_000_000

    def test_depends_on_the_order_of_frames(self) -> None:
        network, frames = ClipNetwork(5).eval(), torch.from_numpy(noise(1))
        assert not torch.allclose(network.features(frames), network.features(frames.flip(1)), atol=1e-4)

    def test_spatial_and_temporal_convolutions_equal_3d_convolutions(self) -> None:
        spatial, temporal = ClipNetwork(5).eval().steps[:3:2]
        x = torch.rand(2, 6, 8, 12, 12)
        expected = torch.nn.functional.conv3d(
            x, spatial.convolution.weight[:, :, None], stride=(1, 2, 2), padding=(0, 1, 1)
        )
        torch.testing.assert_close(spatial(x), torch.relu(expected) / (1 + 1e-5) ** 0.5)
        x = torch.rand(2, 32, 8, 6, 6)
        expected = torch.nn.functional.conv3d(x, temporal.convolution.weight[..., None], padding=(1, 0, 0))
        torch.testing.assert_close(temporal(x), torch.relu(expected) / (1 + 1e-5) ** 0.5)


class TestPretraining:
    def test_equal_seeds_give_equal_weights(self) -> None:
        first, second = tiny(0), tiny(0)
        for name in first:
            torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)

    def test_different_seeds_give_different_weights(self) -> None:
        assert not torch.equal(tiny(0)["classifier.weight"], tiny(1)["classifier.weight"])

    def test_global_random_state_is_unchanged(self) -> None:
        before = torch.get_rng_state()
        tiny(0)
        torch.testing.assert_close(torch.get_rng_state(), before)

    def test_augmented_windows_have_the_right_shape_and_range(self) -> None:
        windows = pretraining.augmented(noise(6, 12), np.random.default_rng(0))
        assert windows.shape == (6, WINDOW, SIDE, SIDE, 3)
        assert windows.dtype == np.float32
        assert windows.min() >= 0
        assert windows.max() <= 255

    def test_clips_are_rendered_once_and_cached(self, tmp_path: Path) -> None:
        path, chosen = tmp_path / "clips.npy", known(clips(6, 0))
        pictures, labels = pretraining.drawn(chosen, path, frames=9)
        expected = np.stack([clip.frames(9, 8.0, (SIDE, SIDE)) for clip in list(clips(6, 0))[::2]])
        np.testing.assert_array_equal(pictures, expected)
        assert labels.tolist() == [0, 1, 2]
        cached = next(tmp_path.iterdir())
        written = cached.stat().st_mtime_ns
        np.testing.assert_array_equal(pretraining.drawn(chosen, path, frames=9)[0], expected)
        assert cached.stat().st_mtime_ns == written

    def test_accuracy_of_a_constant_prediction_is_the_share_of_its_class(self) -> None:
        network, pictures = ClipNetwork(16), noise(48, WINDOW + 2)
        torch.nn.init.zeros_(network.classifier.weight)
        network.classifier.bias.data[:] = torch.arange(16) == 3
        assert pretraining.recognized(network, pictures, np.arange(48) % 16) == 1 / 16
        assert pretraining.recognized(network, pictures, np.full(48, 3)) == 1

    def test_known_clips_have_half_of_the_classes_at_the_given_levels(self) -> None:
        chosen = known(clips(2 * 16 * 3, 0), (1,))
        assert [clip.level for clip in chosen] == [1] * 16
        assert [clip.what for clip in chosen] == [*KNOWN, *KNOWN]


class TestEncoder:
    def spec(self, seconds: float = 3.1) -> VideoSpec:
        who = next(videos(1, "short", {"training": 1})).who
        return VideoSpec("v", "training", 1, (Piece(0.0, seconds, "clap", 1.0),), who, (5,))

    def video(self) -> Video:
        return self.spec().open()

    def test_implements_the_encoder_protocol(self, encoder: ClipEncoder) -> None:
        assert isinstance(encoder, Encoder)
        assert encoder.fps / encoder.stride == 4
        assert (encoder.framing.height, encoder.framing.width) == (SIDE, SIDE)

    def test_identity_is_the_hash_of_the_weights(self, encoder: ClipEncoder, weights: Path) -> None:
        assert encoder.identity == hashlib.sha256(weights.read_bytes()).hexdigest()

    def test_features_equal_those_of_the_saved_network(self, encoder: ClipEncoder, weights: Path) -> None:
        from safetensors.torch import load_file

        network = ClipNetwork(len(KNOWN))
        network.load_state_dict(load_file(weights))
        with torch.inference_mode():
            expected = network.eval().features(torch.from_numpy(noise(3))).numpy()
        np.testing.assert_allclose(encoder(noise(3)), expected, atol=1e-5)

    def test_features_do_not_depend_on_the_batch(self, encoder: ClipEncoder) -> None:
        windows = noise(7)
        single = np.concatenate([encoder(window[None]) for window in windows])
        assert encoder(windows).dtype == np.float32
        np.testing.assert_allclose(encoder(windows), single, atol=1e-5)

    def test_video_features_equal_those_of_single_windows(self, encoder: ClipEncoder) -> None:
        frames = np.stack(list(self.video().frames((np.arange(25) + 0.5) / 8, (SIDE, SIDE))))
        expected = []
        for begin in range(-3, 22, 2):  # a window is centered on its two frames
            window = frames[np.clip(np.arange(begin, begin + WINDOW), 0, 24)]
            expected.append(encoder(window[None])[0])
        np.testing.assert_allclose(features_of(self.video(), encoder), np.stack(expected), atol=1e-5)

    def test_written_features_open_as_a_feature_set(self, encoder: ClipEncoder, tmp_path: Path) -> None:
        write_features([self.spec()], encoder, tmp_path / "features")
        features = FeatureSet.open(tmp_path / "features")
        assert features.read("v").shape == (13, CHANNELS)

    def test_missing_weights_are_rejected(self, tmp_path: Path) -> None:
        with pytest.raises(SolaError, match=r"none\.safetensors: no such file; write it with: python -m rendered"):
            ClipEncoder(tmp_path / "none.safetensors", CPU)

    def test_a_file_without_weights_is_rejected(self, tmp_path: Path) -> None:
        path = tmp_path / "other.safetensors"
        path.write_bytes(b"no weights")
        with pytest.raises(SolaError, match=r"other\.safetensors: cannot be read as weights of figure-clip-cnn"):
            ClipEncoder(path, CPU)

    def test_weights_of_another_network_give_a_one_line_error(self, tmp_path: Path) -> None:
        path = tmp_path / "other.safetensors"
        save_file({"classifier.weight": torch.zeros(3, 2)}, path)
        with pytest.raises(SolaError, match="cannot be read as weights of figure-clip-cnn") as error:
            ClipEncoder(path, CPU)
        assert "\n" not in str(error.value)
