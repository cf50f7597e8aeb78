"""A new detector is one module and one line in the table: it is built, trained through the task, and decoded."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sola.detectors
from sola.data.dataset import Dataset
from sola.data.segments import Segments
from sola.data.synthetic import SyntheticWorld, write
from sola.data.timing import Placement
from sola.detectors import DETECTORS, detector_family
from sola.detectors.base import Detector, DetectorConfig, DetectorFamily
from sola.detectors.clips import Clipping, Clips
from sola.detectors.detect import candidates, detect, name_proposals
from sola.detectors.postprocess.soft_nms import Hard
from sola.detectors.task import DetectionTask
from sola.detectors.train import train_detector
from sola.detectors.trained import TrainedDetector
from sola.training.run import Run
from sola.training.trainer import Trainer

CPU = torch.device("cpu")
LENGTH, CHANNELS, CLIPS = 12, 4, 10


# --- the toy detector: all that a new detector has to provide -----------------------------------------------------


class Toy(Detector):
    """A linear probability of action per unit; a proposal is a run of units above one half."""

    predicts_classes = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.score = nn.Conv1d(channels, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.score(features).squeeze(1)

    def targets(self, instances: Sequence[Tensor], labels: Sequence[Tensor], length: int) -> Tensor:
        center = torch.arange(length) + 0.5
        inside = [(center[:, None] > clip[:, 0]) & (center[:, None] < clip[:, 1]) for clip in instances]
        return torch.stack([clip.any(1).float() for clip in inside])

    def loss(self, output: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        return F.binary_cross_entropy_with_logits(output.float(), targets)

    def decode(self, output: Tensor) -> list[Segments]:
        decoded = []
        for probability in output.detach().sigmoid().double().numpy():
            action = np.concatenate([[False], probability > 0.5, [False]])
            change = np.diff(action.astype(int))
            start, end = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
            score = np.array([probability[a:b].mean() for a, b in zip(start, end, strict=True)])
            decoded.append(Segments(start.astype(float), end.astype(float), np.zeros(len(start), np.int64), score))
        return decoded


@dataclass(frozen=True)
class ToyConfig(DetectorConfig):
    """Settings of the toy detector."""

    model: Literal["toy"] = "toy"
    """Name of the detector."""
    epochs: int = 30
    """Number of passes over the training clips."""
    learning_rate: float = 0.1
    """Initial learning rate of the optimizer."""

    @property
    def predicts_classes(self) -> bool:
        return False

    def clipping(self) -> Clipping:
        return Clipping(LENGTH)

    def decay(self) -> Hard:
        return Hard(0.5)

    def build(self, channels: int, classes: int) -> Toy:
        return Toy(channels)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=self.learning_rate)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        return 1.0


FAMILY = DetectorFamily("toy", ToyConfig, {"anet": ToyConfig()})


# --- what comes with the line in the table ------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sola.detectors, "DETECTORS", {**DETECTORS, "toy": __name__})


def clips() -> Clips:
    """Clips of noise with one action each, in which the first channel is high."""
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


def test_it_is_found_in_the_table() -> None:
    config = detector_family("toy").recipe("anet")
    assert config == ToyConfig()
    assert isinstance(config.build(CHANNELS, 1), Toy)


def test_the_table_imports_no_detector() -> None:
    """Commands list the detectors without the time that torch takes to import."""
    code = "import sys, sola.detectors; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_it_is_trained_through_the_task_and_finds_the_actions(tmp_path: Path) -> None:
    data = clips()
    config = replace(detector_family("toy").recipe("anet"), batch_size=4, precision="fp32")
    task = DetectionTask(config, data, 1, CPU, validation=data)
    run = Run(tmp_path)
    Trainer(run, CPU, "fp32", quiet=True).fit(task, config.epochs)
    losses = [row["validation_loss"] for row in run.rows()]
    assert losses[-1] < 0.5 * losses[0]
    found = candidates(task.model.eval(), data, config.detection_batch_size, CPU)
    for segments, instances in zip(found, data.instances, strict=True):
        assert np.stack([segments.start, segments.end], axis=1).tolist() == instances.tolist()
        assert (segments.label == 0).all()


def test_it_is_trained_loaded_and_run_like_any_other(tmp_path: Path) -> None:
    world = SyntheticWorld(training_videos=4, validation_videos=2, length=40, channels=CHANNELS, classes=2)
    write(world, tmp_path / "world")
    data = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    run, test = tmp_path / "run", data.subset("validation")
    trained = train_detector(data.subset("training"), "toy", out=run, classifier_epochs=2, quiet=True, device="cpu")
    loaded = TrainedDetector.load(run)
    assert loaded.config == trained.config == ToyConfig(classifier_epochs=2, device="cpu")
    proposals = detect(loaded, test, device="cpu")
    assert set(proposals) == {video.id for video in test.videos}
    named = name_proposals(loaded, test, proposals)
    assert all(len(named[video]) == 2 * len(proposals[video]) for video in proposals)


def test_a_share_of_a_batch_has_its_inputs_and_the_targets_of_all() -> None:
    task = DetectionTask(ToyConfig(batch_size=4), clips(), 1, CPU)
    batch = task.batch(0, 0)
    parts = [batch.share(slice(0, 1)), batch.share(slice(1, 4))]
    assert [len(part) for part in parts] == [4, 4]
    together = torch.cat([task.predict(part) for part in parts])
    torch.testing.assert_close(together, task.predict(batch))
    assert torch.equal(task.score(together, parts[0]), task.score(together, batch))
