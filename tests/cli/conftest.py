"""Synthetic data and a run of `sola train-detector`, which tests of commands only read."""

from pathlib import Path

import pytest
from support.detector_commands import train
from support.synthetic import SyntheticWorld, write

WORLD = SyntheticWorld(training_videos=3, validation_videos=2, length=32, channels=8, action_length=8, classes=3)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set, which tests only read."""
    folder = tmp_path_factory.mktemp("shared") / "world"
    write(WORLD, folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def annotations(world: Path) -> Path:
    return world / "annotations.json"


@pytest.fixture(scope="session")
def run(world: Path, annotations: Path) -> Path:
    """A run trained on the raw features, which tests only read."""
    return train(world / "features", annotations, world.parent / "run")
