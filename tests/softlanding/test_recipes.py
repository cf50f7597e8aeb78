"""The settings of the recipes, and overrides."""

import json
from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.softlanding.config import TrainingConfig
from sola.softlanding.multiscale_config import MultiScaleConfig
from sola.softlanding.recipes import RECIPES
from sola.softlanding.train import train


@pytest.fixture
def features(tmp_path: Path) -> FeatureSet:
    (tmp_path / "in").mkdir()
    generator = np.random.default_rng(0)
    for i in range(10):
        np.save(tmp_path / "in" / f"v{i}.npy", generator.normal(size=(90, 8)).cumsum(axis=0).astype(np.float32))
    return FeatureSet.open(tmp_path / "in")


def fixed(name: str) -> dict[str, object]:
    """The settings of the recipe that are not chosen from features."""
    return {key: value for key, value in RECIPES[name]().settings.items() if value is not None}


def test_anet_has_the_settings_of_table_4a() -> None:
    c = TrainingConfig(**fixed("anet"))
    assert (c.hidden, c.k, c.step, c.positions, c.learning_rate, c.batch_size, c.epochs) == (
        1024, 16, 8, 8, 1e-4, 256, 500,
    )  # fmt: skip
    assert (c.form, c.loss, c.projector, c.kernel_size) == ("adapter", "similarity_matching", "asymmetric", 5)


def test_hacs_has_the_settings_of_the_published_code() -> None:
    c = TrainingConfig(**fixed("hacs"))
    assert (c.step, c.hidden, c.epochs, c.window) == (2, 512, 150, 23)


def test_a_recipe_without_choosable_settings_resolves_to_its_settings(features: FeatureSet) -> None:
    assert RECIPES["gtea"]().resolve(features) == (TrainingConfig(**RECIPES["gtea"]().settings), {})


def test_the_largest_step_of_auto_is_a_power_of_two(tmp_path: Path) -> None:
    """In a video of 60 snippets, windows fit up to step 7, so the largest step is 4."""
    np.save(tmp_path / "v.npy", np.ones((60, 4), np.float32))
    config, reasons = RECIPES["auto"]().resolve(FeatureSet.open(tmp_path))
    assert isinstance(config, MultiScaleConfig)
    assert (config.largest_step, config.steps) == (4, (1, 2, 4))
    assert "a step of at most 7" in reasons["largest_step"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 3}, "steps: not a setting of the recipe"),
        ({"step": 0}, "step=0: expected a whole number of at least 1"),
        ({"hidden": None}, "hidden=None: expected a value"),
    ],
)
def test_a_bad_setting_is_refused_when_the_recipe_is_made(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SolaError, match=message):
        RECIPES["anet"]().override(**settings)


def test_train_takes_the_name_of_a_recipe_and_overrides(features: FeatureSet, tmp_path: Path) -> None:
    settings = {"hidden": 8, "projector_hidden": 8, "epochs": 1, "batch_size": 8, "step": 2}
    train(features, "hacs", tmp_path / "run", **settings, quiet=True)
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert {name: written["training"][name] for name in settings} == settings


def test_an_unknown_recipe_is_refused(features: FeatureSet, tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"recipe 'best': no such recipe; expected one of anet, hacs"):
        train(features, "best", tmp_path / "run")
