"""`sola detect` refuses features made differently from those of the training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calling import refused, sola
from support.detector_commands import detect_command, train

from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule


@pytest.fixture(scope="module")
def transformed_features(world: Path) -> Callable[[int], Path]:
    """Features transformed by an untrained SoLa module with the given seed."""

    def transform(seed: int) -> Path:
        import torch

        out = world.parent / f"transformed{seed}"
        if not out.exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                TrainedModule(SoLa(8, hidden=4)).save(world.parent / f"module{seed}")
            assert sola("transform", world.parent / f"module{seed}", world / "features", "--out", out, "--quiet") == 0
        return out

    return transform


@pytest.fixture(scope="module")
def run_on_transformed(world: Path, annotations: Path, transformed_features: Callable[[int], Path]) -> Path:
    """A run trained on features transformed by module 1, which tests only read."""
    return train(transformed_features(1), annotations, world.parent / "run_on_transformed")


def test_a_run_records_the_module_that_transformed_its_features(
    run_on_transformed: Path, transformed_features: Callable[[int], Path]
) -> None:
    manifest = json.loads((transformed_features(1) / "features.json").read_text())
    config = json.loads((run_on_transformed / "config.json").read_text())
    assert config["features"]["manifest"] == manifest
    assert len(manifest["sola"]["fingerprint"]) == 64


def test_features_with_the_same_provenance_are_accepted(
    run_on_transformed: Path, transformed_features: Callable[[int], Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(transformed_features(1), tmp_path / "elsewhere")
    assert sola(*detect_command(run_on_transformed, copy, tmp_path)) == 0


def test_raw_features_are_rejected_after_training_on_transformed_features(
    run_on_transformed: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *detect_command(run_on_transformed, world / "features", tmp_path))
    assert "no SoLa module" in line
    assert not (tmp_path / "d.json").exists()


def test_transformed_features_are_rejected_after_training_on_raw_features(
    run: Path, transformed_features: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "went through the SoLa module" in refused(capsys, *detect_command(run, transformed_features(1), tmp_path))


def test_features_of_another_module_are_rejected(
    run_on_transformed: Path,
    transformed_features: Callable[[int], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refused(capsys, *detect_command(run_on_transformed, transformed_features(2), tmp_path))
    for seed in (1, 2):
        manifest = json.loads((transformed_features(seed) / "features.json").read_text())
        assert manifest["sola"]["fingerprint"][:12] in line


@pytest.mark.parametrize(
    ("key", "value"), [("fps", 5.0), ("stride", 2), ("window", 3), ("offset", 1), ("encoder", "another")]
)
def test_features_with_another_manifest_are_rejected(
    key: str, value: Any, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    manifest = json.loads((features / "features.json").read_text())
    (features / "features.json").write_text(json.dumps(manifest | {key: value}))
    assert f"{key}={value}" in refused(capsys, *detect_command(run, features, tmp_path))


def test_features_with_another_number_of_channels_are_rejected(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 12), np.float32))
    line = refused(capsys, *detect_command(run, tmp_path / "wide", tmp_path), "--fps", "4")
    assert "12" in line
    assert "8" in line
