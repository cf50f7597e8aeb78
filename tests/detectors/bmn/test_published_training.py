"""Several epochs of BMN training have the same losses and weights as JJBOY's code."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity import features
from parity.authors_bmn import configuration, program
from parity.authors_bmn import write as write_for_the_program
from parity.settings import REFERENCES, JJBOYConfig
from support.synthetic import SyntheticWorld, write
from torch.utils.data import default_collate

from sola.data.dataset import Dataset
from sola.detectors.bmn import checkpoint
from sola.detectors.clips import cut
from sola.detectors.proposal_map.map import ProposalMap
from sola.detectors.task import DetectionTask
from sola.training.run import Run
from sola.training.trainer import Trainer

CPU = torch.device("cpu")
CONFIG = JJBOYConfig(
    length=12, samples=4, epochs=4, decay_every=3, batch_size=3, learning_rate=3e-3, weight_decay=1e-2, precision="fp32"
)
WORLD = SyntheticWorld(training_videos=6, validation_videos=2, length=60, channels=8, action_length=30)


@dataclass
class Loader:
    """Yield the batches of a task from the data set of the published program, epoch by epoch."""

    task: DetectionTask
    videos: Any
    epoch: int = 0

    def __iter__(self) -> Iterator[Any]:
        size = self.task.config.batch_size
        for step in range(self.task.steps(0)):
            self.task.batch(self.epoch, step)  # draws the order of the epoch
            index = self.task.order[1][step * size : (step + 1) * size].tolist()
            yield default_collate(
                [self.videos[self.videos.video_list.index(f"v_{self.task.clips.videos[i]}")] for i in index]
            )
        self.epoch += 1


@pytest.mark.slow
def test_epochs_of_training_equal_the_program_of_jjboy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = os.environ.get(REFERENCES["bmn"])
    if not clone:
        pytest.skip(f"name a clone of the published program in {REFERENCES['bmn']}")
    pytest.importorskip("pandas")
    write(WORLD, tmp_path / "world", seed=0)
    halves = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    data = features.write(halves, 1, tmp_path / "floats").subset("training")
    write_for_the_program(data, CONFIG.length, tmp_path / "reference")
    # the published code draws regression cells above 1 - share, this package below the share
    numbers, others = np.random.default_rng(0), np.random.default_rng(0)
    valid = ProposalMap(CONFIG.length, layout="start_end").valid
    shape = CONFIG.batch_size, *valid.shape
    monkeypatch.setattr(np.random, "rand", lambda *_: 1 - numbers.random(shape))
    monkeypatch.setattr(torch, "rand", lambda *_, **options: torch.from_numpy(others.random(shape)[:, valid]).float())
    with program(Path(clone).absolute()) as (main, losses):
        options = {**configuration(CONFIG, data, tmp_path / "reference", tmp_path), "mode": "train"}
        torch.manual_seed(0)
        reference = main.BMN(options)

        def converted_weights() -> dict[str, torch.Tensor]:
            torch.save({"state_dict": reference.state_dict()}, tmp_path / "weights.pth")
            return checkpoint.load(tmp_path / "weights.pth").state_dict()

        task = DetectionTask(CONFIG, cut(data, CONFIG.clipping(), keep_empty=False), len(data.classes), CPU)
        task.model.load_state_dict(converted_weights())
        run = Run(tmp_path / "run")
        run.folder.mkdir()
        Trainer(run, CPU, "fp32", quiet=True).fit(task, CONFIG.epochs)

        main.opt = options
        monkeypatch.setattr(main, "BMN", lambda options: reference)
        monkeypatch.setattr(torch.utils.data, "DataLoader", lambda videos, **options: Loader(task, videos))
        monkeypatch.setattr(main, "test_BMN", lambda *arguments: None)
        main.BMN_Train(options)
        assert [row["loss"] for row in run.rows()] == pytest.approx(losses, rel=1e-4)
        expected = converted_weights()
        for name, weight in task.model.state_dict().items():
            # with a gradient near 0, the step of Adam depends on rounding
            assert (weight - expected[name]).norm() <= 1e-3 * expected[name].norm(), name
