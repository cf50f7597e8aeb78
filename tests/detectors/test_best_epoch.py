"""The epoch with the lowest validation loss gives the weights of a detector, also after a resume."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.detector_runs import (
    CPU,
    TINY,
    PowerCutError,
    before_every_step,
    clips_of,
    log,
    power_cut,
    trained,
    weights,
)

import sola.training.checkpoint
from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.dataset import Dataset
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.detectors.task import DetectionTask
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.training.checkpoint import BestWeights
from sola.training.run import Run


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Annotations]:
    """Actions of the training videos are background in the validation videos, so the validation loss increases."""
    folder = tmp_path_factory.mktemp("misleading") / "features"
    folder.mkdir()
    generator = np.random.default_rng(0)
    videos = {}
    for number in range(9):
        values = generator.normal(scale=0.05, size=(16, 8)).astype(np.float32)
        begin = int(generator.integers(2, 8))
        values[begin : begin + 6] += 1
        subset = "training" if number < 6 else "validation"
        at = (begin, begin + 6) if subset == "training" else (begin + 7, 16) if begin < 5 else (0, begin - 1)
        segments = Segments(np.array([float(at[0])]), np.array([float(at[1])]), np.zeros(1, np.int64), np.ones(1))
        np.save(folder / f"{number}.npy", values)
        videos[str(number)] = VideoAnnotation(str(number), subset, 16.0, None, segments)
    Manifest(fps=1).write(folder)
    return folder, Annotations(videos, ("act",))


MISLEADING = replace(
    TINY, window_size=None, window_stride=None, max_duration=None, epochs=6, decay_every=6, classifier_epochs=0
)


def train_misleading(misleading: tuple[Path, Annotations], out: Path, **options: Any) -> Path:
    options = {"validation": "validation", "quiet": True} | options
    config = options.pop("config", MISLEADING)
    trained(Dataset.open(*misleading), config, out, **options)
    return out


@pytest.fixture(scope="module")
def validated(misleading: tuple[Path, Annotations], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with validation, which tests only read."""
    return train_misleading(misleading, tmp_path_factory.mktemp("validated") / "run")


def test_the_epoch_with_the_lowest_validation_loss_is_selected(
    misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path
) -> None:
    rows = log(validated)
    losses = [row["validation_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1, "the last epoch is the best, so the test is not meaningful"
    clips = clips_of(Dataset.open(*misleading), "validation", MISLEADING)
    task = DetectionTask(MISLEADING, clips, 1, CPU, validation=clips)
    assert task.evaluate(TrainedDetector.load(validated).model, best) == {"validation_loss": losses[best]}


def test_the_selected_epoch_equals_a_run_that_ends_there(
    misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path
) -> None:
    best = int(np.argmin([row["validation_loss"] for row in log(validated)]))
    short = train_misleading(misleading, tmp_path / "run", config=replace(MISLEADING, epochs=best + 1), validation=None)
    assert weights(short) == weights(validated)


def test_the_log_has_the_lowest_validation_loss_so_far(validated: Path) -> None:
    losses = [row["validation_loss"] for row in log(validated)]
    assert [row["best_validation_loss"] for row in log(validated)] == np.minimum.accumulate(losses).tolist()


def test_the_selected_epoch_is_logged(
    misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="sola"):
        train_misleading(misleading, tmp_path / "run")
    best = int(np.argmin([row["validation_loss"] for row in log(validated)]))
    assert f"selected epoch {best + 1} of 6, which has the lowest validation loss" in caplog.messages


def test_the_last_epoch_is_used_without_validation(run: Path) -> None:
    checkpoint = load_file(Run(run).checkpoint)
    for name, value in TrainedDetector.load(run).model.state_dict().items():
        assert torch.equal(value, checkpoint[f"model/{name}"]), name


@pytest.mark.parametrize("cut", [3, 7, 12])
def test_a_resumed_run_remembers_the_best_epoch(
    cut: int, misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch has two steps."""
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(cut)), pytest.raises(PowerCutError):
        train_misleading(misleading, tmp_path / "run")
    train_misleading(misleading, tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == weights(validated)
    assert log(tmp_path / "run") == log(validated)


def test_repeated_epochs_ignore_the_best_weights_of_later_epochs(
    misleading: tuple[Path, Annotations], tmp_path: Path
) -> None:
    """The only checkpoint is from the start, so all epochs are repeated, and the log must have the best so far."""
    options: dict[str, Any] = {"validation": "training", "config": replace(MISLEADING, epochs=4)}
    whole = train_misleading(misleading, tmp_path / "whole", **options)
    with before_every_step(power_cut(7)), pytest.raises(PowerCutError):
        train_misleading(misleading, tmp_path / "cut", **options)
    train_misleading(misleading, tmp_path / "cut", resume=True, **options)
    assert log(tmp_path / "cut") == log(whole)
    assert weights(tmp_path / "cut") == weights(whole)


def test_overwrite_removes_the_best_weights(misleading: tuple[Path, Annotations], tmp_path: Path) -> None:
    """The first run reaches lower losses than the second run."""
    worse = replace(MISLEADING, learning_rate=1e-9, epochs=2)
    alone = train_misleading(misleading, tmp_path / "alone", config=worse, validation="training")
    over = train_misleading(misleading, tmp_path / "over", validation="training")
    assert BestWeights(Run(over).best).loss() < BestWeights(Run(alone).best).loss()
    train_misleading(misleading, tmp_path / "over", config=worse, validation="training", overwrite=True)
    assert weights(over) == weights(alone)
    assert log(over) == log(alone)


@pytest.mark.parametrize("moment", ["during training", "at the end"])
def test_damaged_best_weights_are_reported(
    moment: str, misleading: tuple[Path, Annotations], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    if moment == "during training":
        with before_every_step(power_cut(7)), pytest.raises(PowerCutError):
            train_misleading(misleading, tmp_path / "run")
    else:
        train_misleading(misleading, tmp_path / "run")
        (tmp_path / "run" / WEIGHTS).unlink()
    best = Run(tmp_path / "run").best
    best.write_bytes(best.read_bytes()[:-100])
    with pytest.raises(SolaError, match=r"not the best weights of this run .*--overwrite"):
        train_misleading(misleading, tmp_path / "run", resume=True)


def test_the_best_weights_record_their_epoch(validated: Path) -> None:
    with safe_open(Run(validated).best, framework="pt") as stream:
        record = json.loads(stream.metadata()["best"])
    losses = [row["validation_loss"] for row in log(validated)]
    assert record == {"epoch": int(np.argmin(losses)) + 1, "loss": min(losses)}
