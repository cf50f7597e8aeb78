"""Data sets of the rendered benchmark: principal components, packaging and the supervised upper bound."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="drawing the figure needs opencv-python-headless")

from rendered import benchmark, shipping
from rendered.facts import supervised_bound
from rendered.reduction import fit_reduction
from rendered.timeline import Piece
from rendered.world import VideoSpec, videos, write_annotations
from safetensors import safe_open
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest

FOUR_PER_SECOND = Manifest(dim=10, fps=8.0, stride=2.0, window=8.0, offset=-3.0, encoder="noise")


def arrays(count: int = 4, channels: int = 10) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(channels, channels))
    return [generator.normal(size=(20 + i, channels)) @ mixing + 3 for i in range(count)]


class TestReduction:
    def test_equals_principal_component_analysis(self) -> None:
        reduction = fit_reduction(arrays(), 4)
        values = np.concatenate(arrays()).astype(np.float64)
        _, singular, components = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        assert reduction.share == pytest.approx((singular[:4] ** 2).sum() / (singular**2).sum())
        cosines = np.abs((reduction.directions * components[:4].T).sum(axis=0))
        np.testing.assert_allclose(cosines, 1, rtol=1e-6)
        expected = (arrays()[1] - values.mean(axis=0)) @ reduction.directions
        np.testing.assert_allclose(reduction(arrays()[1]), expected, rtol=1e-3, atol=1e-3)

    def test_largest_entry_of_each_direction_is_positive(self) -> None:
        directions = fit_reduction(arrays(), 10).directions
        assert (directions.max(axis=0) > -directions.min(axis=0)).all()

    @pytest.mark.parametrize("videos", [[], arrays()])
    def test_more_components_than_channels_are_rejected(self, videos: list[np.ndarray]) -> None:
        with pytest.raises(SolaError, match="at least 11 channels"):
            fit_reduction(videos, 11)


class TestSets:
    def specs(self) -> list[VideoSpec]:
        who = next(videos(1, "short", {"training": 1})).who
        pieces = (Piece(0.0, 2.0, "idle", 1.0), Piece(2.0, 5.0, "clap", 1.0))
        parts = [("training", 3), ("validation", 2), ("testing", 1)]
        return [
            VideoSpec(f"{part}_{index:04d}", part, 1, pieces, who, (5,))
            for part, count in parts
            for index in range(count)
        ]

    def write_set(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[VideoSpec]:
        monkeypatch.setattr(benchmark, "KEPT", 4)
        (folder / "work").mkdir(parents=True)
        for spec, array in zip(self.specs(), arrays(6), strict=True):
            np.save(folder / "work" / f"{spec.name}.npy", array.astype(np.float16))
        benchmark.reduce_features(self.specs(), folder / "work", folder / "features", FOUR_PER_SECOND)
        write_annotations(self.specs(), folder / "annotations.json")
        return self.specs()

    def test_components_are_fitted_on_the_training_videos(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        specs = self.write_set(tmp_path, monkeypatch)
        features = FeatureSet.open(tmp_path / "features")
        assert sorted(features.videos) == sorted(spec.name for spec in specs)
        assert features.manifest.dim == 4
        training = np.concatenate([features.read(spec.name) for spec in specs if spec.split == "training"])
        assert training.dtype == np.float16
        np.testing.assert_allclose(training.astype(float).mean(axis=0), 0, atol=0.01)
        covariance = np.cov(training.astype(float).T)
        np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=0.02 * covariance.max())

    def test_packed_sets_hold_the_first_videos_unchanged(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write_set(tmp_path / "full", monkeypatch)
        monkeypatch.setattr(shipping, "COUNTS", {"training": 2, "validation": 1})
        shipping.pack(tmp_path / "full", tmp_path / "set.safetensors")
        with safe_open(tmp_path / "set.safetensors", "numpy") as stored:
            assert sorted(stored.keys()) == ["training_0000", "training_0001", "validation_0000"]
            expected = np.load(tmp_path / "full" / "features" / "training_0001.npy")
            np.testing.assert_array_equal(stored.get_tensor("training_0001"), expected)
            assert set(stored.metadata()) == {"manifest", "annotations"}


@pytest.mark.slow
def test_supervised_bound_is_high_on_easy_data(tmp_path: Path) -> None:
    world = SyntheticWorld(training_videos=20, validation_videos=8, length=120, channels=32, easy=True)
    write(world, tmp_path / "world")
    data = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    bound = supervised_bound(data, smoothing=3)
    assert 0.7 < bound <= 1
