"""The recipes' figures, and how "auto" is settled."""

from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.softlanding.config import TrainingConfig
from sola.softlanding.recipes import RECIPES, settle
from sola.softlanding.train import train


@pytest.fixture
def features(tmp_path: Path) -> FeatureSet:
    (tmp_path / "in").mkdir()
    generator = np.random.default_rng(0)
    for i in range(10):
        np.save(tmp_path / "in" / f"v{i}.npy", generator.normal(size=(90, 8)).cumsum(axis=0).astype(np.float32))
    return FeatureSet.open(tmp_path / "in")


def test_anet_is_table_4a() -> None:
    c = RECIPES["anet"]()
    assert (c.hidden, c.k, c.step, c.positions, c.learning_rate, c.batch_size, c.epochs) == (
        1024, 16, 8, 8, 1e-4, 256, 500,
    )  # fmt: skip
    assert (c.form, c.loss, c.projector, c.kernel_size) == ("adapter", "similarity_matching", "asymmetric", 5)


def test_auto_trains_the_published_adapter_on_dropped_values() -> None:
    c = RECIPES["auto"]()
    assert (c.form, c.loss, c.kernel_size, c.positions) == ("adapter", "similarity_matching", 5, 8)
    assert (c.dropout, c.projector) == (0.8, "symmetric")


def test_hacs_is_the_published_codes() -> None:
    c = RECIPES["hacs"]()
    assert (c.step, c.hidden, c.epochs, c.window) == (2, 512, 150, 23)


def test_auto_settles_everything_and_says_why(features: FeatureSet) -> None:
    config, reasons = settle(RECIPES["auto"](), features)
    config.must_be_settled()
    assert set(reasons) == {"step", "k", "smoothing", "windows_per_video", "epochs"}
    assert config.windows_per_video == 103  # ten videos, eight batches of 128
    assert config.epochs == 89  # of nine batches, the last of which is small
    assert config.conditioning == "center+scale"


def test_what_was_given_is_not_chosen(features: FeatureSet) -> None:
    given = TrainingConfig(step=3, k="auto", epochs=7)
    config, reasons = settle(given, features)
    assert (config.step, config.epochs) == (3, 7)
    assert set(reasons) == {"k"}


def test_a_settled_config_stays_as_it_is(features: FeatureSet) -> None:
    assert settle(RECIPES["gtea"](), features) == (RECIPES["gtea"](), {})


def test_an_open_config_is_not_trained(features: FeatureSet, tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"step=auto: only features can tell"):
        train(features, RECIPES["auto"](), tmp_path / "run", quiet=True)
