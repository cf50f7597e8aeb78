"""Training ActionFormer: crops, weight decay, averaged weights, and exact resume."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.calling import refused
from support.calling import sola as command
from support.synthetic import SyntheticWorld, write

import sola.training.checkpoint
from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.segments import SegmentTable
from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.clips import cut
from sola.detectors.detect import classify_proposals, propose
from sola.detectors.task import DetectionTask
from sola.detectors.train import train_detector
from sola.detectors.trained import TrainedDetector
from sola.evaluation.metrics.average_precision import average_precision

CPU = torch.device("cpu")
SMALL = ActionFormerConfig(
    length=64,
    width=16,
    attention_window=5,
    levels=3,
    epochs=3,
    warmup_epochs=1,
    batch_size=2,
    learning_rate=1e-3,
    ema_decay=0.9,
    precision="fp32",
)
WORLD = SyntheticWorld(training_videos=5, validation_videos=3, length=80, channels=8, action_length=10)


class PowerCutError(Exception):
    """Simulates a machine that goes down."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("world") / "world"
    write(WORLD, folder, seed=0)
    return Dataset.open(folder / "features", folder / "annotations.json")


def task_of(world: Dataset, **changes: object) -> DetectionTask:
    config = replace(SMALL, **changes)
    clips = cut(world.subset("training"), config.clipping(), keep_empty=False)
    return DetectionTask(config, clips, len(world.classes), CPU)


def test_a_crop_has_the_right_length_and_the_instances_at_least_half_inside(world, tmp_path):
    task = task_of(world, length=40)
    generator = np.random.default_rng(0)
    for index in range(len(task.clips)):
        for _ in range(20):
            values, instances, labels = task.config.augment(task.clips.example(index), generator)
            assert len(values) == 40
            whole = task.clips.clip(index)
            (first,) = [s for s in range(len(whole) - 39) if np.array_equal(whole[s : s + 40], values)]
            expected = []
            for (start, end), label in zip(task.clips.instances[index], task.clips.labels[index], strict=True):
                # two units beyond the centers of the first unit and of the unit after the last one
                low, high = max(float(start), first - 1.5), min(float(end), first + 42.5)
                if (high - low) / float(end - start) >= 0.5:
                    expected.append((low - first, high - first, int(label)))
            actual = [(*pair, int(label)) for pair, label in zip(instances.tolist(), labels, strict=True)]
            np.testing.assert_allclose(np.array(actual), np.array(expected), atol=1e-4)
            assert expected


def test_a_crop_of_a_short_video_removes_at_most_a_tenth(world, tmp_path):
    task = task_of(world, length=512)
    lengths = {
        len(task.config.augment(task.clips.example(0), np.random.default_rng(seed)).features) for seed in range(60)
    }
    whole = int(task.clips.lengths[0])
    assert min(lengths) == round(0.9 * whole)
    assert max(lengths) == whole


def test_clips_do_not_change_without_cropping(world, tmp_path):
    task = task_of(world, length=512, crop=1.0)
    values, instances, _ = task.config.augment(task.clips.example(0), np.random.default_rng(0))
    assert np.array_equal(values, task.clips.clip(0))
    assert torch.equal(instances, task.clips.instances[0])


def test_a_batch_depends_only_on_seed_epoch_and_step(world, tmp_path):
    first, second = task_of(world), task_of(world)
    second.batch(0, 1)
    a, b = first.batch(1, 0), second.batch(1, 0)
    assert torch.equal(a.inputs[0], b.inputs[0])
    assert torch.equal(a.targets.classes, b.targets.classes)
    different = first.batch(2, 0)
    (features, _, _), (others, _, _) = a.inputs, different.inputs
    assert features.shape != others.shape or not torch.equal(features, others)


def test_the_padding_is_masked(world, tmp_path):
    features, mask, _ = task_of(world).batch(0, 0).inputs
    assert (features.abs().sum(1) > 0).eq(mask).all()


def test_biases_norms_and_scales_are_not_decayed(world, tmp_path):
    task = task_of(world, weight_decay=0.05)
    optimizer = task.optimizer()
    names = {id(parameter): name for name, parameter in task.model.named_parameters()}
    by_decay = {
        group["weight_decay"]: {names[id(parameter)] for parameter in group["params"]}
        for group in optimizer.param_groups
    }
    assert set(by_decay) == {0.05, 0.0}
    assert all("norm" not in name and "scale" not in name and "bias" not in name for name in by_decay[0.05])
    assert all("norm" in name or "scale" in name or "bias" in name for name in by_decay[0.0])
    assert len(names) == len(by_decay[0.05]) + len(by_decay[0.0])


def test_the_learning_rate_has_linear_warm_up_and_cosine_decay():
    config = replace(SMALL, epochs=10, warmup_epochs=2)
    rates = [config.rate(step // 5, step % 5, 5) for step in range(50)]
    assert rates[0] == 0
    np.testing.assert_allclose(rates[:10], np.linspace(0, 1, 10))
    np.testing.assert_allclose(rates[10:], 0.5 * (1 + np.cos(np.pi * np.arange(40) / 40)))


@pytest.mark.parametrize("multi_class", [True, False])
def test_a_detector_without_classes_is_trained_on_a_single_class(world, tmp_path, multi_class):
    task = task_of(world, multi_class=multi_class)
    classes = len(world.classes)
    assert task.model.classes == (classes if multi_class else 1)
    assert task.batch(0, 0).targets.classes.shape[2] == task.model.classes


def fails_after(steps: int) -> Callable[..., torch.Tensor]:
    done, score = iter(range(steps)), DetectionTask.score

    def failing(self: DetectionTask, prediction: object, batch: object) -> torch.Tensor:
        if next(done, None) is None:
            raise PowerCutError
        return score(self, prediction, batch)

    return failing


@pytest.mark.parametrize("steps", [1, 3, 4, 7])
def test_a_training_resumed_after_any_step_ends_in_the_same_bits(world, tmp_path, monkeypatch, steps):
    train_detector(world.subset("training"), SMALL, out=tmp_path / "whole", quiet=True)
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(DetectionTask, "score", fails_after(steps))
        with pytest.raises(PowerCutError):
            train_detector(world.subset("training"), SMALL, out=tmp_path / "cut", quiet=True)
    train_detector(world.subset("training"), SMALL, out=tmp_path / "cut", resume=True, quiet=True)
    whole, cut_ = (tmp_path / name / "detector.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut_.read_bytes()


def test_the_averaged_weights_are_saved(world, tmp_path):
    averaged = train_detector(world.subset("training"), SMALL, out=tmp_path / "averaged", quiet=True)
    # with a decay near 0, the averaged weights are the weights themselves
    last = train_detector(world.subset("training"), replace(SMALL, ema_decay=1e-9), out=tmp_path / "last", quiet=True)
    name = "classifier.output.weight"
    differences = [
        (a - b).abs().max()
        for (n, a), (_, b) in zip(averaged.model.named_parameters(), last.model.named_parameters(), strict=True)
        if n != name
    ]
    assert max(differences) > 1e-5


def test_validation_uses_the_averaged_weights_and_changes_nothing(world, tmp_path):
    plain = train_detector(world.subset("training"), SMALL, out=tmp_path / "plain", quiet=True)
    judged = train_detector(
        world.subset("training"), SMALL, out=tmp_path / "judged", validation=world.subset("validation"), quiet=True
    )
    rows = [json.loads(line) for line in (tmp_path / "judged" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows]
    if losses[-1] == min(losses):
        for (_, a), (_, b) in zip(plain.model.named_parameters(), judged.model.named_parameters(), strict=True):
            assert torch.equal(a, b)
    plain_rows = [json.loads(line) for line in (tmp_path / "plain" / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [row["loss"] for row in plain_rows]


def test_detections_have_classes_and_are_inside_their_video(world, tmp_path):
    train_detector(world.subset("training"), SMALL, out=tmp_path / "run", quiet=True)
    detector = TrainedDetector.load(tmp_path / "run")
    validation = world.subset("validation")
    detections = propose(detector, validation)
    assert set(detections) == {video.id for video in validation.videos}
    for video, segments in detections.items():
        assert len(segments) <= SMALL.max_detections
        assert set(segments.label.tolist()) <= set(range(len(world.classes)))
        assert (np.diff(segments.score) <= 0).all(), video
    inside = replace(SMALL, clip_to_video=True)
    train_detector(world.subset("training"), inside, out=tmp_path / "inside", quiet=True)
    durations = {video.id: video.duration for video in validation.videos}
    for video, segments in propose(TrainedDetector.load(tmp_path / "inside"), validation).items():
        duration = durations[video]
        assert duration is not None
        assert (segments.start >= -1e-9).all()
        assert (segments.end <= duration + 1e-6).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup_epochs": 3}, "warmup_epochs=3: expected 0 to 2, .*; pass --warmup-epochs 1$"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1: expected 0 to 2"),
        ({"epochs": 1}, "pass --warmup-epochs 0$"),
        ({"crop": 0.0}, "crop=0.0"),
        ({"ema_decay": 1.5}, "ema_decay=1.5"),
        ({"clip_norm": 0.0}, "clip_norm=0.0"),
        ({"voting_iou": 2.0}, "voting_iou=2.0"),
        ({"epochs": 0, "warmup_epochs": 0}, "epochs=0"),
    ],
)
def test_values_out_of_range_are_named(changes, said):
    with pytest.raises(SolaError, match=said):
        replace(SMALL, **changes)


@pytest.mark.long  # tests/detectors/test_overlapping_labels.py is stricter
def test_an_easy_data_set_is_learned(tmp_path):
    # no drift and almost no scene, so that actions are easy to detect
    easy = SyntheticWorld(
        training_videos=20,
        validation_videos=8,
        length=160,
        channels=32,
        scene=0.2,
        state=2.0,
        nuisance=(),
        noise=0.1,
        repetition=0.0,
    )
    write(easy, tmp_path / "world", seed=0)
    data = Dataset.open(tmp_path / "world" / "features", tmp_path / "world" / "annotations.json")
    config = replace(SMALL, length=256, width=32, levels=4, epochs=12, learning_rate=3e-3, ema_decay=0.95)
    detector = train_detector(data.subset("training"), config, out=tmp_path / "run", quiet=True)
    validation = data.subset("validation")
    detections = propose(detector, validation)
    truth = SegmentTable.joined([video.segments for video in validation.videos])
    predicted = SegmentTable.joined([detections[video.id] for video in validation.videos])
    rng = np.random.default_rng(0)
    shuffled = replace(predicted, score=rng.permutation(predicted.score), label=rng.permutation(predicted.label))
    mean = average_precision(truth, predicted, [0.3]).mean
    chance = average_precision(truth, shuffled, [0.3]).mean
    assert mean >= 3 * chance, (mean, chance)


def test_train_detect_and_evaluate_commands(tmp_path, capsys):
    write(WORLD, tmp_path / "world", seed=0)
    features, annotations = tmp_path / "world" / "features", tmp_path / "world" / "annotations.json"
    flags = ["--length", "64", "--width", "16", "--levels", "3", "--attention-window", "5", "--epochs", "2"]
    flags += ["--warmup-epochs", "1", "--precision", "fp32", "--quiet"]
    run, detections, proposals = tmp_path / "run", tmp_path / "detections.json", tmp_path / "proposals.json"
    train = ["train-detector", features, "--annotations", annotations, "--out", run, "--model", "actionformer"]
    assert command(*train, "--recipe", "thumos", *flags) == 0
    assert not (run / "best.safetensors").exists()
    predict = ["detect", run, features, "--annotations", annotations, "--quiet"]
    assert command(*predict, "--out", detections, "--proposals", proposals) == 0
    capsys.readouterr()
    assert command("evaluate", detections, "--annotations", annotations, "--json") == 0
    assert 0 <= json.loads(capsys.readouterr().out)["average_mAP"] <= 1
    assert command("evaluate", proposals, "--annotations", annotations, "--proposals", "--json") == 0
    capsys.readouterr()
    scores = tmp_path / "scores.json"
    scores.write_text("{}")
    line = refused(capsys, *predict, "--out", tmp_path / "again.json", "--classifier", scores)
    assert "predicts classes itself" in line
    line = refused(capsys, *predict, "--out", tmp_path / "same.json", "--proposals", tmp_path / "same.json")
    assert "is --out too" in line


@pytest.mark.parametrize("combine", ["product", "sqrt"])
def test_each_proposal_of_a_detector_without_classes_gets_two_classes(world, tmp_path, combine):
    config = replace(SMALL, multi_class=False, classifier_epochs=2, voting_iou=0.9, max_detections=20)
    detector = train_detector(world.subset("training"), config, out=tmp_path / "run", quiet=True)
    validation = world.subset("validation")
    proposals = propose(detector, validation)
    assert all((segments.label == 0).all() for segments in proposals.values())
    named = classify_proposals(detector, validation, proposals, combine=combine)
    for video, segments in named.items():
        assert len(segments) == 2 * len(proposals[video]) > 0
        assert (np.diff(segments.score) <= 0).all()
        assert len(set(segments.label.tolist())) > 1
