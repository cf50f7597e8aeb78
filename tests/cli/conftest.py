"""Synthetic data and a run of `sola train-detector`, which tests of commands only read."""

from pathlib import Path

import pytest
from support.detector_commands import train
from support.synthetic import SMALL, write


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set, which tests only read."""
    return write(SMALL, tmp_path_factory.mktemp("shared") / "world")


@pytest.fixture(scope="session")
def annotations(world: Path) -> Path:
    return world / "annotations.json"


@pytest.fixture(scope="session")
def run(world: Path, annotations: Path) -> Path:
    """A run trained on the raw features, which tests only read."""
    return train(world / "features", annotations, world.parent / "run")
