"""Multi-scale modules: the parts against their definitions, training, and files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest
from sola.data.ragged import pack
from sola.softlanding.moments import video_moments
from sola.softlanding.multiscale import MultiScaleSoLa
from sola.softlanding.multiscale_config import MultiScaleConfig
from sola.softlanding.multiscale_task import MultiScaleMatching, sample
from sola.softlanding.network import SoLa
from sola.softlanding.recipes import RECIPES
from sola.softlanding.train import train
from sola.softlanding.trained import TrainedModule
from sola.softlanding.transform import transform_array
from sola.training import checkpoint
from tests.support.calling import refused, sola

CPU = torch.device("cpu")
SMALL = MultiScaleConfig(
    largest_step=2, hidden=16, reduced=8, batches=3, epochs=2, batch_size=4, precision="fp32", device="cpu"
)
LENGTHS = (40, 45, 50, 55, 60, 65, 12)


@pytest.fixture
def features(tmp_path: Path) -> FeatureSet:
    """Six videos of 40 to 65 slowly changing snippets, and one too short for any window."""
    folder = tmp_path / "features"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i, length in enumerate(LENGTHS):
        walk = generator.normal(size=(length, 12)).cumsum(axis=0)
        np.save(folder / f"video{i}.npy", walk.astype(np.float32))
    return FeatureSet.open(folder)


def arrays(features: FeatureSet) -> list[np.ndarray]:
    return [features.read(video) for video in features.videos]


def averaged(values: np.ndarray, width: int) -> np.ndarray:
    half = width // 2
    return np.stack([values[max(t - half, 0) : t + half + 1].mean(axis=0) for t in range(len(values))])


def test_parts_equal_their_definitions(features: FeatureSet, tmp_path: Path) -> None:
    """Compare with plain loops: modules at steps 1 and 2, trained and random, two averages, and a whitened average."""
    network = train(features, SMALL, tmp_path / "run", quiet=True).network
    assert isinstance(network, MultiScaleSoLa)
    videos = [video.astype(np.float64) for video in arrays(features)]
    center, share = np.concatenate(videos).mean(axis=0), shared_by_halves(videos)
    assert 0.1 < share < 0.9
    assert float(network.scene_share) == pytest.approx(share, rel=1e-5)
    conditioned = [video - center - share * (video.mean(axis=0) - center) for video in videos]
    scale = float(np.sqrt(np.square(np.concatenate(conditioned)).mean()))
    assert float(network.scale) == pytest.approx(scale, rel=1e-5)
    # principal components and whitening use the features with the mean of their video subtracted
    joined = np.concatenate([video - video.mean(axis=0) for video in videos])
    reduction = network.reduction.numpy()
    _, vectors = np.linalg.eigh(joined.T @ joined)
    np.testing.assert_allclose(reduction @ reduction.T, vectors[:, -8:] @ vectors[:, -8:].T, atol=1e-5)
    covariance = (joined @ reduction).T @ (joined @ reduction) / len(joined) / scale**2
    white = np.linalg.inv(scipy.linalg.sqrtm(covariance + 0.1 * np.trace(covariance) / 8 * np.eye(8)))
    np.testing.assert_allclose(network.white, white, rtol=1e-3, atol=1e-5)
    parts: list[list[np.ndarray]] = []
    for video in conditioned:
        x = video / scale
        outputs = []
        with torch.inference_mode():
            for module, step in zip(network.parts, (1, 2, 1, 2), strict=True):
                assert module.form == ("adapter" if len(outputs) < 2 else "direct")
                adapted = module.adapt(torch.from_numpy((x @ reduction).astype(np.float32))[None])[0].numpy()
                outputs.append(averaged(adapted, 2 * step + 1))
        short, wide = averaged(x, 9), averaged(x @ reduction, 33)
        parts.append([*outputs, short, wide, short @ reduction @ white])
    whole = [np.concatenate([outputs[i] for outputs in parts]) for i in range(7)]
    means = [part.mean(axis=0) for part in whole]
    weights = np.array([1, 1, 1, 1, 1, 1, 1 - share]) / [np.sqrt(part.var(axis=0).mean()) for part in whole]
    np.testing.assert_allclose(network.part_means, np.concatenate(means), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(network.part_weights, weights, rtol=1e-3)
    for video, outputs in zip(arrays(features), parts, strict=True):
        standardized = [(part - mean) * weight for part, mean, weight in zip(outputs, means, weights, strict=True)]
        expected = np.concatenate(standardized, axis=1)
        got = transform_array(network, video)
        assert got.shape == (len(video), 4 * 8 + 12 + 8 + 8)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(transform_array(network, video, piece=7), got, atol=1e-5)


def shared_by_halves(videos: list[np.ndarray]) -> float:
    center = np.concatenate(videos).mean(axis=0)
    common = whole = 0.0
    for video in videos:
        first, second = (half.mean(axis=0) - center for half in np.array_split(video, 2))
        common += float(first @ second)
        whole += float(np.square((first + second) / 2).sum())
    return common / whole


@pytest.mark.parametrize(("scene", "least", "most"), [(10.0, 0.95, 1.0), (0.0, 0.0, 0.3)])
def test_the_scene_share_is_high_if_videos_differ_and_low_if_only_snippets_differ(
    scene: float, least: float, most: float
) -> None:
    """It is near 1 if each video has its own offset, and near 0 if only the snippets differ."""
    generator = np.random.default_rng(0)
    videos = [generator.normal(size=(60, 8)) + scene * generator.normal(size=8) for _ in range(200)]
    assert least <= video_moments(videos).scene_share <= most


def test_a_single_video_is_centered(features: FeatureSet, tmp_path: Path) -> None:
    """With one video, the scene cannot be separated from the actions."""
    network = train(features.only(["video5"]), SMALL, tmp_path / "run", quiet=True).network
    assert float(network.scene_share) == 1.0
    got = transform_array(network, arrays(features)[5])
    assert not got[:, -8:].any()
    np.testing.assert_allclose(got[:, 32:44].mean(axis=0), 0, atol=0.2)


def test_conditioning_of_a_large_set_uses_a_sample_of_its_videos(features: FeatureSet) -> None:
    packed = pack(features)
    assert len(packed.values) == sum(LENGTHS)
    assert list(sample(packed, 10_000)) == list(range(7))
    assert list(sample(packed, 100)) == [0, 3, 6]
    assert list(sample(packed, 1)) == [0]


def test_the_loss_is_the_sum_over_modules_and_only_trained_modules_change(features: FeatureSet) -> None:
    task = MultiScaleMatching(SMALL, pack(features), CPU)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    batch = task.batch(0, 0)
    assert [len(windows) for windows in batch.windows] == [4, 4]
    predictions = task.predict(batch)
    total = sum(
        float(part.score(part.predict(windows), windows).detach())
        for part, windows in zip(task.tasks, batch.windows, strict=True)
    )
    loss = task.score(predictions, batch)
    assert float(loss.detach()) == pytest.approx(total, rel=1e-6)
    loss.backward()
    task.optimizer().step()
    changed = {name for name, value in task.network.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[1] for name in changed} == {"0", "1"}


def test_predictions_on_shares_of_a_batch_equal_those_on_the_whole_batch(features: FeatureSet) -> None:
    """Several processes together predict the same as a single process."""
    task = MultiScaleMatching(SMALL, pack(features), CPU)
    batch = task.batch(0, 1)
    whole = task.predict(batch)
    halves = [task.predict(batch.share(part)) for part in (slice(0, 2), slice(2, 4))]
    for module, predicted in enumerate(whole):
        joined = torch.cat([half[module][1] for half in halves])
        torch.testing.assert_close(joined, predicted[1])


def test_a_resumed_training_ends_in_the_same_bits(
    features: FeatureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(features, SMALL, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_STEPS", 1)
    calls = 0
    batch = MultiScaleMatching.batch

    def stopping(self: MultiScaleMatching, epoch: int, step: int) -> object:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return batch(self, epoch, step)

    monkeypatch.setattr(MultiScaleMatching, "batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(features, SMALL, tmp_path / "stopped", quiet=True)
    resumed = train(features, SMALL, tmp_path / "stopped", resume=True, quiet=True)
    assert resumed.fingerprint == whole.fingerprint


def test_a_module_is_saved_and_loaded(features: FeatureSet, tmp_path: Path) -> None:
    module = train(features, replace(SMALL, output_channels=5), tmp_path / "run", quiet=True)
    module.save(tmp_path / "copy")
    loaded = TrainedModule.load(tmp_path / "copy").network
    assert loaded.config() == module.network.config()
    video = arrays(features)[0]
    np.testing.assert_array_equal(transform_array(loaded, video), transform_array(module.network, video))


def test_the_output_map_keeps_the_largest_principal_components(features: FeatureSet, tmp_path: Path) -> None:
    network = train(features, replace(SMALL, output_channels=5), tmp_path / "run", quiet=True).network
    mapping = network.mapping.numpy()
    np.testing.assert_allclose(mapping.T @ mapping, np.eye(5), atol=1e-5)
    with torch.inference_mode():
        joined = np.concatenate([network.join(torch.from_numpy(video)[None])[0].numpy() for video in arrays(features)])
    energy = np.square(joined @ mapping).sum()
    values = np.linalg.eigvalsh(joined.T.astype(np.float64) @ joined)
    assert energy == pytest.approx(values[-5:].sum(), rel=1e-4)


def test_the_largest_step_is_limited_by_the_video_lengths(features: FeatureSet) -> None:
    config, reasons = RECIPES["auto"]().resolve(features)
    assert (config.largest_step, config.steps) == (4, (1, 2, 4))
    assert "a step of at most 4" in reasons["largest_step"]
    config, reasons = RECIPES["auto"]().override(largest_step=3).resolve(features)
    assert (config.steps, reasons) == ((1, 2), {})


def test_a_step_whose_windows_fit_no_video_is_refused(features: FeatureSet, tmp_path: Path) -> None:
    """Training on no windows would give a loss of NaN."""
    message = (
        r"largest_step=9: no video is as long as a window of 65 snippets at step 8; the longest video has 64; pass "
        r"--largest-step 7 or less"
    )
    np.save(tmp_path / "features" / "video5.npy", np.zeros((64, 12), np.float32))
    with pytest.raises(SolaError, match=message):
        train(FeatureSet.open(tmp_path / "features"), replace(SMALL, largest_step=9), tmp_path / "run", quiet=True)
    module = train(features.only(["video4"]), replace(SMALL, largest_step=7), tmp_path / "run", quiet=True)
    assert module.network.steps == (1, 2, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"largest_step": 0}, r"largest_step=0"),
        ({"average": 4}, r"average=4"),
        ({"wide_average": 4}, r"wide_average=4"),
        ({"dropout": 1.0}, r"dropout=1.0"),
        ({"positions": 1}, r"positions=1"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, message: str) -> None:
    with pytest.raises(SolaError, match=message):
        MultiScaleConfig(**values)


def test_more_output_channels_than_those_of_the_parts_are_refused(features: FeatureSet, tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"mapped=999: expected at most the 60 channels of all parts"):
        train(features, replace(SMALL, output_channels=999), tmp_path / "run", quiet=True)


def test_train_and_transform_commands(features: FeatureSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, run = tmp_path / "features", tmp_path / "run"
    few = ("--batches", 2, "--epochs", 1, "--batch-size", 4, "--hidden", 8, "--device", "cpu")
    assert sola("train", folder, "--recipe", "auto", *few, "--out", run) == 0
    assert "largest_step = 4: modules at steps 1, 2, 4" in capsys.readouterr().err
    assert sola("transform", run, folder, "--out", tmp_path / "out", "--quiet") == 0
    assert Manifest.read(tmp_path / "out").dim == 3 * 12 * 2 + 3 * 12
    assert np.load(tmp_path / "out" / "video0.npy").shape == (40, 3 * 12 * 2 + 3 * 12)
    same = tmp_path / "same"
    assert sola("train", folder, "--recipe", "auto", *few, "--output-channels", "same", "--out", same) == 0
    assert TrainedModule.load(same).network.output_channels == 12
    capsys.readouterr()
    line = refused(capsys, "train", folder, "--recipe", "auto", "--step", 2, "--out", tmp_path / "no")
    assert "--step: not a setting of --recipe auto" in line


def test_random_modules_depend_on_the_seed() -> None:
    first, same, other = (untrained(seed) for seed in (1, 1, 2))
    assert torch.equal(first.parts[2].conv1.weight, same.parts[2].conv1.weight)
    assert not torch.equal(first.parts[2].conv1.weight, other.parts[2].conv1.weight)
    assert isinstance(first.parts[2], SoLa)


def untrained(seed: int) -> MultiScaleSoLa:
    torch.manual_seed(seed)
    return SMALL.module(12)
