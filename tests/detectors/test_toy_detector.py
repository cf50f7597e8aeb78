"""A new detector needs one package and one line in `DETECTORS` to be built, trained and run by the commands."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from support.calling import sola as command
from support.synthetic import SyntheticWorld, write
from support.toy_detector.config import LENGTH, ToyConfig
from support.toy_detector.network import Toy

import sola.cli.app
import sola.cli.train_detector
import sola.detectors
from sola.data.dataset import Dataset
from sola.data.timing import Placement
from sola.detectors import DETECTORS, detector_family
from sola.detectors.clips import Clips
from sola.detectors.detect import candidates, classify_proposals, propose
from sola.detectors.task import DetectionTask
from sola.detectors.train import train_detector
from sola.detectors.trained import TrainedDetector
from sola.training.run import Run
from sola.training.trainer import Trainer

CPU = torch.device("cpu")
CHANNELS, CLIPS = 4, 10


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sola.detectors, "DETECTORS", {**DETECTORS, "toy": "support.toy_detector"})


@pytest.fixture
def commands(registered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import the commands again, as in a new process, with the toy detector in `DETECTORS`."""
    for module in ("sola.cli.app", "sola.cli.train_detector"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr("support.calling.main", import_module("sola.cli.app").main)


def clips() -> Clips:
    """Clips of noise with one action each, where the first channel is high."""
    generator = np.random.default_rng(0)
    values = generator.normal(scale=0.1, size=(CLIPS, LENGTH, CHANNELS)).astype(np.float32)
    starts = generator.integers(0, LENGTH - 4, CLIPS)
    for clip, start in zip(values, starts, strict=True):
        clip[start : start + 4, 0] += 2
    return Clips(
        values.reshape(-1, CHANNELS),
        np.arange(CLIPS + 1) * LENGTH,
        tuple(map(str, range(CLIPS))),
        ((0.0, float(LENGTH)),) * CLIPS,
        np.arange(CLIPS),
        (Placement(0.0, 1.0),) * CLIPS,
        tuple(torch.tensor([[start, start + 4.0]]) for start in starts.tolist()),
        (torch.zeros(1, dtype=torch.int64),) * CLIPS,
    )


def test_the_detector_is_in_the_table() -> None:
    config = detector_family("toy").recipe("anet")
    assert config == ToyConfig()
    assert isinstance(config.build(CHANNELS, 1), Toy)


def test_the_table_imports_no_detector() -> None:
    """Commands list the detectors without importing torch, which takes long."""
    code = "import sys, sola.detectors; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_detector_is_trained_by_the_task_and_detects_the_actions(tmp_path: Path) -> None:
    data = clips()
    config = replace(detector_family("toy").recipe("anet"), batch_size=4, precision="fp32")
    task = DetectionTask(config, data, 1, CPU, validation=data)
    run = Run(tmp_path)
    Trainer(run, CPU, "fp32", quiet=True).fit(task, config.epochs)
    losses = [row["validation_loss"] for row in run.rows()]
    assert losses[-1] < 0.5 * losses[0]
    decoded = candidates(task.model.eval(), data, config.detection_batch_size, CPU)
    for segments, instances in zip(decoded, data.instances, strict=True):
        assert np.stack([segments.start, segments.end], axis=1).tolist() == instances.tolist()
        assert (segments.label == 0).all()


def test_the_detector_is_trained_loaded_and_run_by_the_library(tmp_path: Path) -> None:
    world = SyntheticWorld(training_videos=4, validation_videos=2, length=40, channels=CHANNELS, classes=2)
    write(world, tmp_path / "world")
    data = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    run, test = tmp_path / "run", data.subset("validation")
    trained = train_detector(data.subset("training"), "toy", out=run, classifier_epochs=2, quiet=True, device="cpu")
    loaded = TrainedDetector.load(run)
    assert loaded.config == trained.config == ToyConfig(classifier_epochs=2, device="cpu")
    proposals = propose(loaded, test, device="cpu")
    assert set(proposals) == {video.id for video in test.videos}
    detections = classify_proposals(loaded, test, proposals)
    assert all(len(detections[video]) == 2 * len(proposals[video]) for video in proposals)


@pytest.mark.usefixtures("commands")
def test_the_detector_is_trained_run_and_evaluated_by_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = SyntheticWorld(training_videos=8, validation_videos=4, length=40, channels=32, classes=2, state=3.0)
    write(world, tmp_path / "world")
    features, run, detections = tmp_path / "world" / "features", tmp_path / "run", tmp_path / "detections.json"
    annotated = ["--annotations", tmp_path / "world" / "annotations.json"]
    small = ["--classifier-epochs", "2", "--precision", "fp32", "--device", "cpu", "--quiet"]
    assert command("train-detector", features, *annotated, "--model", "toy", *small, "--out", run) == 0
    assert command("detect", run, features, *annotated, "--device", "cpu", "--quiet", "--out", detections) == 0
    capsys.readouterr()
    assert command("evaluate", detections, *annotated, "--json") == 0
    average = json.loads(capsys.readouterr().out)["average_mAP"]
    assert math.isfinite(average)
    assert 0 < average <= 1


def test_a_share_of_a_batch_has_its_own_inputs_and_all_targets() -> None:
    task = DetectionTask(ToyConfig(batch_size=4), clips(), 1, CPU)
    batch = task.batch(0, 0)
    parts = [batch.share(slice(0, 1)), batch.share(slice(1, 4))]
    assert [len(part) for part in parts] == [4, 4]
    together = torch.cat([task.predict(part) for part in parts])
    torch.testing.assert_close(together, task.predict(batch))
    assert torch.equal(task.score(together, parts[0]), task.score(together, batch))
