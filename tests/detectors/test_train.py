"""Train detectors: seeds, schedules, and data that cannot be trained on."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.detector_runs import CPU, TINY, TINY_BMN, before_every_step, clips_of, log, trained, weights

from sola.core.errors import SolaError
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.detectors.base import DetectorConfig
from sola.detectors.task import DetectionTask


def test_the_weights_depend_only_on_the_seed(data: Dataset, tmp_path: Path) -> None:
    config = replace(TINY, epochs=2)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        trained(data, replace(config, seed=seed), tmp_path / name, quiet=True)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


@pytest.mark.parametrize("config", [TINY, TINY_BMN], ids=["gtad", "bmn"])
def test_training_lowers_the_loss(config: DetectorConfig, data: Dataset, tmp_path: Path) -> None:
    config = replace(config, epochs=8, decay_every=8, classifier_epochs=0)
    trained(data, config, tmp_path / "run", quiet=True)
    rows = log(tmp_path / "run")
    assert rows[-1]["loss"] < 0.95 * rows[0]["loss"]


def test_training_keeps_the_random_state_of_the_caller(data: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    trained(data, replace(TINY, epochs=1), tmp_path / "run", quiet=True)
    assert torch.equal(torch.rand(3), expected)


def test_every_clip_is_used_once_per_epoch_in_another_order(data: Dataset, tmp_path: Path) -> None:
    clips = clips_of(data, "training", TINY)
    clips.values[clips.bounds[:-1], 0] = np.arange(len(clips))  # mark each clip with its number
    task = DetectionTask(TINY, clips, 3, CPU)
    epochs = [
        [int(n) for step in range(task.steps(epoch)) for n in task.batch(epoch, step).inputs[0][:, 0, 0]]
        for epoch in (0, 1)
    ]
    assert len(clips) > 6
    assert [sorted(order) for order in epochs] == [list(range(len(clips)))] * 2
    assert epochs[0] != epochs[1]


def test_the_optimizer_follows_the_schedule(data: Dataset, tmp_path: Path) -> None:
    rates: list[float] = []
    with before_every_step(lambda optimizer, number: rates.append(optimizer.param_groups[0]["lr"])):
        trained(data, replace(TINY, decay_every=2), tmp_path / "run", quiet=True)
    steps = math.ceil(len(clips_of(data, "training", TINY)) / TINY.batch_size)
    assert rates == pytest.approx([1e-3] * 2 * steps + [1e-4] * 2 * steps)


def test_a_diverged_loss_is_reported(data: Dataset, tmp_path: Path) -> None:
    config = replace(TINY, learning_rate=1e30)
    with pytest.raises(SolaError, match=r"lower --learning-rate"):
        trained(data, config, tmp_path / "run", validation="validation", quiet=True)


def test_a_diverged_validation_loss_is_reported(data: Dataset, tmp_path: Path) -> None:
    """With one step per epoch, the training loss is computed before the weights diverge."""
    config = replace(TINY, learning_rate=1e30, batch_size=1000)
    with pytest.raises(SolaError, match=r"validation.*epoch 1.*lower --learning-rate"):
        trained(data, config, tmp_path / "run", validation="validation", quiet=True)


def test_bad_data_for_the_snippet_classifier_is_refused_before_the_detector_is_trained(
    features: FeatureSet, annotations: Annotations, tmp_path: Path
) -> None:
    """Without background, the classifier cannot be trained; the error must not come after hours."""
    config, steps = replace(TINY, window_size=None, window_stride=None), []
    full = {}
    for video, record in annotations.videos.items():
        whole = Segments(np.zeros(1), np.array([record.duration]), np.zeros(1, np.int64), np.ones(1))
        full[video] = replace(record, segments=whole)
    with (
        before_every_step(lambda _, number: steps.append(number)),
        pytest.raises(SolaError, match=r"all .* snippets are action"),
    ):
        trained(Dataset.open(features, Annotations(full, annotations.classes)), config, tmp_path / "run", quiet=True)
    assert steps == []


@pytest.mark.parametrize("subset", ["dev", "testing"])
def test_a_subset_without_training_data_leaves_no_run(
    subset: str, features: FeatureSet, annotations: Annotations, tmp_path: Path
) -> None:
    """The annotations have no subset `dev`, and `testing` has no instances."""
    videos = {
        video: replace(record, subset="testing", segments=Segments.empty()) if record.subset == "validation" else record
        for video, record in annotations.videos.items()
    }
    with pytest.raises(SolaError, match=r"unknown subset 'dev'|nothing to train on"):
        trained(
            Dataset.open(features, Annotations(videos, annotations.classes)),
            TINY,
            tmp_path / "run",
            subset=subset,
            quiet=True,
        )
    assert not (tmp_path / "run").exists()


def test_a_wrong_number_of_channels_leaves_no_run(annotations: Annotations, tmp_path: Path) -> None:
    """BMN needs a multiple of 4 channels."""
    (tmp_path / "features").mkdir()
    for video in annotations.videos:
        np.save(tmp_path / "features" / f"{video}.npy", np.ones((30, 6), np.float32))
    config = replace(TINY_BMN, classifier_epochs=0)
    with pytest.raises(SolaError, match="channels=6"):
        trained(Dataset.open(tmp_path / "features", annotations), config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
