"""Crops and several epochs of training equal the authors' code: loss, weights and averaged weights.

Both programs get the same clips in each step, and no clip skips a branch. Each program has its own optimizer groups,
learning rate schedule, gradient clipping, loss normalizer and weight average.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity.authors_pyramid import configuration, recording
from parity.settings import REFERENCES
from support.published_program import program
from support.synthetic import SyntheticWorld, write
from torch import Tensor

from sola.data.dataset import Dataset
from sola.detectors.actionformer.checkpoint import load as load_actionformer
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.base import Detector
from sola.detectors.clips import cut
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.point_pyramid.detector import PointDetector
from sola.detectors.task import DetectionTask
from sola.detectors.tridet.checkpoint import load as load_tridet
from sola.detectors.tridet.config import TriDetConfig
from sola.training.run import Run
from sola.training.trainer import Trainer

yaml = pytest.importorskip("yaml")

CPU = torch.device("cpu")
SETTINGS: dict[str, Any] = {
    "length": 96,
    "width": 32,
    "levels": 3,
    "epochs": 5,
    "warmup_epochs": 2,
    "batch_size": 2,
    "learning_rate": 3e-3,
    "weight_decay": 0.5,
    "clip_norm": 0.5,
    "ema_decay": 0.9,
    "crop": 1.0,
    "label_smoothing": 0.1,
    "regression_weight": 1.5,
    "precision": "fp32",
}
CONFIGS: Mapping[str, PointPyramidConfig] = {
    "actionformer": ActionFormerConfig(attention_window=5, **SETTINGS),
    "tridet": TriDetConfig(perception_window=3, hidden=24, deviation=0.3, input_noise=0.0, bins=4, **SETTINGS),
}
WORLD = SyntheticWorld(training_videos=6, validation_videos=2, length=60, channels=8, action_length=10)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("world") / "world"
    write(WORLD, folder, seed=0)
    return Dataset.open(folder / "features", folder / "annotations.json")


@pytest.mark.parametrize("model", ["actionformer", "tridet"])
def test_crops_equal_the_authors_program(world: Dataset, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    pytest.importorskip("h5py")
    config = replace(CONFIGS[model], length=64, crop=0.7)
    clips, cropped = cut(world, config.clipping(), keep_empty=False), 0
    assert min(clips.lengths) < 64 < max(clips.lengths)
    with program(REFERENCES[model]):
        reference = importlib.import_module("libs.datasets.data_utils")
        offset = [config.crop_overhang] if model == "actionformer" else []
        for clip, seed in product(map(clips.example, range(len(clips))), range(10)):
            numbers = np.random.default_rng(seed)
            draw = partial(_randint, numbers)
            monkeypatch.setattr(reference.random, "randint", draw)
            item = {"feats": clip.tensor(CPU), "segments": clip.instances - 0.5, "labels": clip.labels}
            expected = reference.truncate_feats(item, 64, config.inside, *offset, crop_ratio=(0.7, 1.0))
            result = config.augment(clip, np.random.default_rng(seed))
            assert torch.equal(result.tensor(CPU), expected["feats"])
            assert result.labels.tolist() == expected["labels"].tolist()
            torch.testing.assert_close(result.instances - 0.5, expected["segments"])
            cropped += int((result.instances != clip.instances[: len(result.instances)]).any())
    assert cropped > 10


def _randint(generator: np.random.Generator, low: int, high: int) -> int:
    return int(generator.integers(low, high + 1))


@dataclass
class Loader:
    """Yield the batches of a task in the format of the authors' loader, epoch by epoch."""

    task: DetectionTask
    epoch: int = 0

    def __len__(self) -> int:
        return self.task.steps(0)

    def __iter__(self) -> Iterator[list[dict[str, Tensor]]]:
        size = self.task.config.batch_size
        for step in range(len(self)):
            self.task.batch(self.epoch, step)  # draws the order of the epoch
            clips = [self.task.clips.example(i) for i in self.task.order[1][step * size : (step + 1) * size].tolist()]
            # points of the authors' code are at the starts of units
            yield [
                {"feats": clip.tensor(CPU).contiguous(), "segments": clip.instances - 0.5, "labels": clip.labels}
                for clip in clips
            ]
        self.epoch += 1


def every_branch(model: Detector) -> Callable[..., tuple[Tensor, ...]]:
    """Return a noise function that skips no branch."""
    drawn = model.noise

    def noise(clips: int, device: torch.device) -> tuple[Tensor, ...]:
        paths, *others = drawn(clips, device)
        return (torch.ones_like(paths), *others)

    return noise


@pytest.mark.slow
@pytest.mark.parametrize("model", ["actionformer", "tridet"])
def test_epochs_of_training_equal_the_authors_program(
    world: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    config, data = CONFIGS[model], world.subset("training")
    with program(REFERENCES[model]) as build:
        path = tmp_path / "settings.yaml"
        path.write_text(yaml.safe_dump(configuration(config, data, 0, tmp_path)))
        reference, settings = build(str(path.with_suffix("")))
        load = partial(load_actionformer, windows=(5, 5, 5)) if model == "actionformer" else load_tridet

        def converted(state: Mapping[str, Tensor]) -> PointDetector:
            torch.save({"state_dict": state}, tmp_path / "weights.pth")
            return load(tmp_path / "weights.pth", length=config.length)

        task = DetectionTask(config, cut(data, config.clipping(), keep_empty=False), len(data.classes), CPU)
        normalizer = {"criterion.normalizer": task.model.criterion.normalizer}
        task.model.load_state_dict(converted(reference.state_dict()).state_dict() | normalizer)
        task.average = config.averaged(task.model)
        monkeypatch.setattr(task.model, "noise", every_branch(task.model))
        run = Run(tmp_path / "run")
        run.folder.mkdir()
        Trainer(run, CPU, "fp32", quiet=True).fit(task, config.epochs)

        utils = importlib.import_module("libs.utils.train_utils")
        blocks = importlib.import_module("libs.modeling.blocks")
        blocks.drop_path = lambda x, drop_prob, training: x / (1 - drop_prob) if training else x
        loader, losses = Loader(task), []
        optimizer = utils.make_optimizer(reference, settings["opt"])
        schedule = utils.make_scheduler(optimizer, settings["opt"], len(loader))
        average = utils.ModelEma(reference, config.ema_decay)
        train = recording(utils.train_one_epoch, losses)
        for epoch in range(config.epochs):
            train(
                loader,
                reference,
                optimizer,
                schedule,
                epoch,
                model_ema=average,
                clip_grad_l2norm=settings["train_cfg"]["clip_grad_l2norm"],
                print_freq=1000,
            )
        assert [row["loss"] for row in run.rows()] == pytest.approx(losses, rel=1e-4)
        assert task.model.criterion.normalizer.item() == pytest.approx(reference.loss_normalizer, rel=1e-5)
        for trained, published in ((task.model, reference), (task.average.module, average.module)):
            expected = converted(published.state_dict()).state_dict()
            for name, weight in trained.state_dict().items():
                if name != "criterion.normalizer":
                    torch.testing.assert_close(
                        weight, expected[name], rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
                    )
