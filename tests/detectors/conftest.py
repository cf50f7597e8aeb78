"""Synthetic data and a finished run, which tests of detectors only read."""

from pathlib import Path

import pytest
from support.detector_runs import TINY, trained
from support.synthetic import SMALL, write

from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.detectors.trained import TrainedDetector


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set, which tests only read."""
    return write(SMALL, tmp_path_factory.mktemp("world") / "world")


@pytest.fixture(scope="session")
def data(world: Path) -> Dataset:
    return Dataset.open(world / "features", world / "annotations.json")


@pytest.fixture
def features(data: Dataset) -> FeatureSet:
    return data.features


@pytest.fixture
def annotations(data: Dataset) -> Annotations:
    assert data.annotations is not None
    return data.annotations


@pytest.fixture(scope="session")
def run(world: Path, data: Dataset) -> Path:
    """A finished run, which tests only read."""
    trained(data, TINY, world.parent / "run", quiet=True)
    return world.parent / "run"


@pytest.fixture
def detector(run: Path) -> TrainedDetector:
    return TrainedDetector.load(run)
