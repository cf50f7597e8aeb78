"""Training and running detectors: bits, resume, the best epoch, windows merged, and the chain features stand on."""

import json
import math
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from support.synthetic import SyntheticWorld, write
from torch.optim.optimizer import register_optimizer_step_pre_hook

import sola.training.checkpoint
from sola.core.errors import SolaError
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.class_scores import VideoScores, read_classifier, thumos14_layout
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.manifest import Manifest
from sola.data.segments import Segments
from sola.data.timing import Placement, SnippetGrid
from sola.detectors.base import DetectorConfig
from sola.detectors.bmn.config import BMNConfig
from sola.detectors.clips import Clips, cut, rescale
from sola.detectors.detect import detect, in_seconds, name_proposals, propose, relative
from sola.detectors.gtad.config import GTADConfig
from sola.detectors.snippet_classifier import SnippetClassifier
from sola.detectors.task import DetectionTask
from sola.detectors.train import train_detector
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.training.checkpoint import BestWeights
from sola.training.run import Run

TINY = GTADConfig(
    bins=4, context_bins=2, length=8, window_size=16, window_stride=8, max_duration=4, epochs=4, batch_size=4,
    decay_every=3, suppression="gaussian", classifier_epochs=2, precision="fp32", device="cpu",
)  # fmt: skip
TINY_BMN = BMNConfig(
    length=8, window_size=16, window_stride=8, max_duration=4, epochs=4, batch_size=4,
    decay_every=3, suppression="gaussian", classifier_epochs=2, precision="fp32", device="cpu",
)  # fmt: skip
WORLD = SyntheticWorld(training_videos=3, validation_videos=2, length=32, channels=8, action_length=8, classes=3)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic world, written once and only read."""
    folder = tmp_path_factory.mktemp("world") / "world"
    write(WORLD, folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def data(world: Path) -> Dataset:
    return Dataset.open(world / "features", world / "annotations.json")


@pytest.fixture
def features(data: Dataset) -> FeatureSet:
    return data.features


@pytest.fixture
def annotations(data: Dataset) -> Annotations:
    assert data.annotations is not None
    return data.annotations


@pytest.fixture(scope="module")
def run(world: Path, data: Dataset) -> Path:
    """A finished run, only read."""
    trained(data, TINY, world.parent / "run", quiet=True)
    return world.parent / "run"


@pytest.fixture
def detector(run: Path) -> TrainedDetector:
    return TrainedDetector.load(run)


def trained(
    data: Dataset,
    config: DetectorConfig,
    out: Path,
    *,
    subset: str = "training",
    validation: str | None = None,
    **options: Any,
) -> TrainedDetector:
    held_out = None if validation is None else data.subset(validation)
    return train_detector(data.subset(subset), config, out=out, validation=held_out, **options)


def clips_of(data: Dataset, subset: str, config: DetectorConfig) -> Clips:
    return cut(data.subset(subset), config.clipping(), keep_empty=False)


def weights(run: Path) -> bytes:
    return (run / WEIGHTS).read_bytes()


def log(run: Path) -> list[dict[str, Any]]:
    """The log's rows without what a clock measured, and without saying that one went on."""
    unlike = ("windows_per_s", "resumed_from_epoch")
    return [{key: value for key, value in row.items() if key not in unlike} for row in Run(run).rows()]


@contextmanager
def before_every_step(call: Callable[[torch.optim.Optimizer, int], None]) -> Iterator[None]:
    """Have `call(optimizer, number)` called before each step, numbered from 1."""
    done = 0

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        nonlocal done
        done += 1
        call(optimizer, done)

    handle = register_optimizer_step_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class PowerCutError(Exception):
    """Stands for a machine that goes down."""


def power_cut(at: int) -> Callable[[torch.optim.Optimizer, int], None]:
    def call(optimizer: torch.optim.Optimizer, number: int) -> None:
        if number == at:
            raise PowerCutError

    return call


# --- training ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(data: Dataset, tmp_path: Path) -> None:
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


def test_training_leaves_the_callers_random_numbers_alone(data: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    trained(data, replace(TINY, epochs=1), tmp_path / "run", quiet=True)
    assert torch.equal(torch.rand(3), expected)


def test_every_clip_is_seen_once_an_epoch_in_another_order(data: Dataset, tmp_path: Path) -> None:
    clips = clips_of(data, "training", TINY)
    clips.values[clips.bounds[:-1], 0] = np.arange(len(clips))  # a clip's number, in a place of its own
    task = DetectionTask(TINY, clips, 3, CPU)
    epochs = [
        [int(n) for step in range(task.steps(epoch)) for n in task.batch(epoch, step).inputs[0][:, 0, 0]]
        for epoch in (0, 1)
    ]
    assert len(clips) > 6
    assert [sorted(order) for order in epochs] == [list(range(len(clips)))] * 2
    assert epochs[0] != epochs[1]


def test_the_optimizer_sees_the_schedule(data: Dataset, tmp_path: Path) -> None:
    seen: list[float] = []
    with before_every_step(lambda optimizer, number: seen.append(optimizer.param_groups[0]["lr"])):
        trained(data, replace(TINY, decay_every=2), tmp_path / "run", quiet=True)
    steps = math.ceil(len(clips_of(data, "training", TINY)) / TINY.batch_size)
    assert seen == pytest.approx([1e-3] * 2 * steps + [1e-4] * 2 * steps)


def test_a_resumed_run_goes_on_at_the_rate_of_its_epoch(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    config = replace(TINY, decay_every=1)
    steps = math.ceil(len(clips_of(data, "training", TINY)) / TINY.batch_size)
    with before_every_step(power_cut(2 * steps + 1)), pytest.raises(PowerCutError):
        trained(data, config, tmp_path / "run", quiet=True)
    seen: list[float] = []
    with before_every_step(lambda optimizer, number: seen.append(optimizer.param_groups[0]["lr"])):
        trained(data, config, tmp_path / "run", resume=True, quiet=True)
    assert seen == pytest.approx([1e-5] * steps + [1e-6] * steps)


@pytest.mark.parametrize("cut", [1, 2, 3, 6])
def test_resumed_after_any_step_it_ends_in_the_same_bits(
    cut: int, data: Dataset, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(cut)), pytest.raises(PowerCutError):
        trained(data, TINY, tmp_path / "cut", quiet=True)
    trained(data, TINY, tmp_path / "cut", resume=True, quiet=True)
    assert weights(tmp_path / "cut") == weights(run)
    assert log(tmp_path / "cut") == log(run)


def test_bmn_is_resumed_to_the_same_bits_too(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its largest weight lies in memory in an order of its own, and so must what Adam keeps of it."""
    config = replace(TINY_BMN, epochs=1, classifier_epochs=0, batch_size=2)
    trained(data, config, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(2)), pytest.raises(PowerCutError):
        trained(data, config, tmp_path / "cut", quiet=True)
    trained(data, config, tmp_path / "cut", resume=True, quiet=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_asked_to_stop_within_an_epoch_it_ends_in_the_same_bits(data: Dataset, run: Path, tmp_path: Path) -> None:
    """A real SIGINT before the second step: the step is done, the checkpoint written, and nothing is repeated."""
    with (
        before_every_step(lambda _, number: signal.raise_signal(signal.SIGINT) if number == 2 else None),
        pytest.raises(KeyboardInterrupt),
    ):
        trained(data, TINY, tmp_path / "stopped", quiet=True)
    assert not (tmp_path / "stopped" / WEIGHTS).exists()
    seen: list[int] = []
    with before_every_step(lambda _, number: seen.append(number)):
        trained(data, TINY, tmp_path / "stopped", resume=True, quiet=True)
    steps = math.ceil(len(clips_of(data, "training", TINY)) / TINY.batch_size)
    assert len(seen) == TINY.epochs * steps - 2
    assert weights(tmp_path / "stopped") == weights(run)


def test_resume_of_a_finished_run_changes_nothing(data: Dataset, tmp_path: Path, run: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.rglob("*.*")}
    trained(data, TINY, copy, resume=True, quiet=True)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.rglob("*.*")}


@pytest.mark.parametrize(
    ("other", "named"), [({"subset": "validation"}, "videos"), ({"validation": "validation"}, "validation")]
)
def test_resume_with_another_subset_is_refused(other: dict[str, str], named: str, data: Dataset, run: Path) -> None:
    with pytest.raises(SolaError, match=f"was started with requested {named}="):
        trained(data, TINY, run, resume=True, quiet=True, **other)


def test_resume_with_another_config_is_refused(data: Dataset, run: Path) -> None:
    with pytest.raises(SolaError, match=r"was started with requested length=8, now it is 4"):
        trained(data, replace(TINY, length=4), run, resume=True, quiet=True)


@pytest.mark.parametrize("moved", ["training", "validation"])
def test_resume_on_other_annotations_is_refused(
    moved: str,
    data: Dataset,
    features: FeatureSet,
    annotations: Annotations,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The epochs of a validation on other instances cannot be compared."""
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(2)), pytest.raises(PowerCutError):
        trained(data, TINY, tmp_path / "run", validation="validation", quiet=True)
    videos = {
        video: replace(record, segments=later(record.segments)) if record.subset == moved else record
        for video, record in annotations.videos.items()
    }
    with pytest.raises(SolaError, match=r"was started with features \w*fingerprint"):
        trained(
            Dataset.open(features, replace(annotations, videos=videos)), TINY, tmp_path / "run",
            validation="validation", resume=True, quiet=True,
        )  # fmt: skip


def later(segments: Segments) -> Segments:
    length = segments.end - segments.start
    return Segments(segments.start, segments.end - 0.3 * length, segments.label, segments.score)


def test_a_diverged_loss_is_told(data: Dataset, tmp_path: Path) -> None:
    config = replace(TINY, learning_rate=1e30)
    with pytest.raises(SolaError, match=r"lower --learning-rate"):
        trained(data, config, tmp_path / "run", validation="validation", quiet=True)


def test_a_loss_that_diverges_in_an_epochs_last_step_is_told_when_it_is_validated(
    data: Dataset, tmp_path: Path
) -> None:
    """One step an epoch: its own loss is that of the weights before it, which were fine."""
    config = replace(TINY, learning_rate=1e30, batch_size=1000)
    with pytest.raises(SolaError, match=r"validation.*epoch 1.*lower --learning-rate"):
        trained(data, config, tmp_path / "run", validation="validation", quiet=True)


def test_the_snippet_classifier_is_refused_before_the_head_is_trained(
    features: FeatureSet, annotations: Annotations, tmp_path: Path
) -> None:
    """Where all is action, it has nothing to learn: that must not be said after hours."""
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
def test_a_subset_with_nothing_to_learn_leaves_nothing(
    subset: str, features: FeatureSet, annotations: Annotations, tmp_path: Path
) -> None:
    """`dev` is none of the annotations', `testing` has no instances."""
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


def test_a_width_that_the_head_cannot_take_leaves_nothing(annotations: Annotations, tmp_path: Path) -> None:
    """BMN's groups want a multiple of 4."""
    (tmp_path / "features").mkdir()
    for video in annotations.videos:
        np.save(tmp_path / "features" / f"{video}.npy", np.ones((30, 6), np.float32))
    config = replace(TINY_BMN, classifier_epochs=0)
    with pytest.raises(SolaError, match="channels=6"):
        trained(Dataset.open(tmp_path / "features", annotations), config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


# --- the best epoch ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Annotations]:
    """What is an action in training is background in validation: the longer the training, the worse the validation."""
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
        found = Segments(np.array([float(at[0])]), np.array([float(at[1])]), np.zeros(1, np.int64), np.ones(1))
        np.save(folder / f"{number}.npy", values)
        videos[str(number)] = VideoAnnotation(str(number), subset, 16.0, None, found)
    Manifest(fps=1).write(folder)
    return folder, Annotations(videos, ("act",))


MISLED = replace(
    TINY, window_size=None, window_stride=None, max_duration=None, epochs=6, decay_every=6, classifier_epochs=0
)


def misled(misleading: tuple[Path, Annotations], out: Path, **options: Any) -> Path:
    options = {"validation": "validation", "quiet": True} | options
    config = options.pop("config", MISLED)
    trained(Dataset.open(*misleading), config, out, **options)
    return out


@pytest.fixture(scope="module")
def validated(misleading: tuple[Path, Annotations], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a validation, only read."""
    return misled(misleading, tmp_path_factory.mktemp("validated") / "run")


def test_the_epoch_of_the_lowest_validation_loss_is_kept(
    misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path
) -> None:
    rows = log(validated)
    losses = [row["validation_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1, "the last epoch is the best: this shows nothing"
    clips = clips_of(Dataset.open(*misleading), "validation", MISLED)
    task = DetectionTask(MISLED, clips, 1, CPU, validation=clips)
    assert task.evaluate(TrainedDetector.load(validated).model, best) == {"validation_loss": losses[best]}


def test_the_kept_epoch_is_that_of_a_run_that_ends_there(
    misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path
) -> None:
    best = int(np.argmin([row["validation_loss"] for row in log(validated)]))
    short = misled(misleading, tmp_path / "run", config=replace(MISLED, epochs=best + 1), validation=None)
    assert weights(short) == weights(validated)


def test_the_log_says_the_lowest_loss_so_far(validated: Path) -> None:
    losses = [row["validation_loss"] for row in log(validated)]
    assert [row["best_validation_loss"] for row in log(validated)] == np.minimum.accumulate(losses).tolist()


def test_a_run_says_which_epoch_it_kept(
    misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="sola"):
        misled(misleading, tmp_path / "run")
    best = int(np.argmin([row["validation_loss"] for row in log(validated)]))
    assert f"selected epoch {best + 1} of 6, which has the lowest validation loss" in caplog.messages


def test_without_a_validation_the_last_epoch_is_kept(run: Path) -> None:
    checkpoint = load_file(Run(run).checkpoint)
    for name, value in TrainedDetector.load(run).model.state_dict().items():
        assert torch.equal(value, checkpoint[f"model/{name}"]), name


@pytest.mark.parametrize("cut", [3, 7, 12])
def test_a_resumed_run_keeps_the_best_so_far(
    cut: int, misleading: tuple[Path, Annotations], validated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps an epoch."""
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(cut)), pytest.raises(PowerCutError):
        misled(misleading, tmp_path / "run")
    misled(misleading, tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == weights(validated)
    assert log(tmp_path / "run") == log(validated)


def test_epochs_that_are_repeated_do_not_know_what_will_be_the_best(
    misleading: tuple[Path, Annotations], tmp_path: Path
) -> None:
    """No checkpoint but the first before the power cut: all is done again, and the log must say what was so far."""
    options: dict[str, Any] = {"validation": "training", "config": replace(MISLED, epochs=4)}
    whole = misled(misleading, tmp_path / "whole", **options)
    with before_every_step(power_cut(7)), pytest.raises(PowerCutError):
        misled(misleading, tmp_path / "cut", **options)
    misled(misleading, tmp_path / "cut", resume=True, **options)
    assert log(tmp_path / "cut") == log(whole)
    assert weights(tmp_path / "cut") == weights(whole)


def test_overwriting_forgets_the_best(misleading: tuple[Path, Annotations], tmp_path: Path) -> None:
    """The first run finds lower losses than the second can."""
    worse = replace(MISLED, learning_rate=1e-9, epochs=2)
    alone = misled(misleading, tmp_path / "alone", config=worse, validation="training")
    over = misled(misleading, tmp_path / "over", validation="training")
    assert BestWeights(Run(over).best).loss() < BestWeights(Run(alone).best).loss()
    misled(misleading, tmp_path / "over", config=worse, validation="training", overwrite=True)
    assert weights(over) == weights(alone)
    assert log(over) == log(alone)


@pytest.mark.parametrize("moment", ["on the way", "at the end"])
def test_best_weights_that_are_damaged_are_told(
    moment: str, misleading: tuple[Path, Annotations], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    if moment == "on the way":
        with before_every_step(power_cut(7)), pytest.raises(PowerCutError):
            misled(misleading, tmp_path / "run")
    else:
        misled(misleading, tmp_path / "run")
        (tmp_path / "run" / WEIGHTS).unlink()
    best = Run(tmp_path / "run").best
    best.write_bytes(best.read_bytes()[:-100])
    with pytest.raises(SolaError, match=r"not the best weights of this run .*--overwrite"):
        misled(misleading, tmp_path / "run", resume=True)


def test_the_best_weights_say_their_epoch(validated: Path) -> None:
    with safe_open(Run(validated).best, framework="pt") as stream:
        told = json.loads(stream.metadata()["best"])
    losses = [row["validation_loss"] for row in log(validated)]
    assert told == {"epoch": int(np.argmin(losses)) + 1, "loss": min(losses)}


# --- what a run's folder gives back ------------------------------------------------------------------------------


def test_what_was_saved_is_what_is_loaded(detector: TrainedDetector, data: Dataset, run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / WEIGHTS).unlink()
    detector.save_weights(copy)
    validation, found = data.subset("validation"), []
    for one in (detector, TrainedDetector.load(copy)):
        proposals = propose(one, validation, device="cpu")
        found.append(name_proposals(one, validation, proposals))
    assert found[0].keys() == found[1].keys() == {video.id for video in validation.videos}
    for video in found[0]:
        for name in ("start", "end", "label", "score"):
            np.testing.assert_array_equal(getattr(found[0][video], name), getattr(found[1][video], name))


def test_loading_leaves_the_callers_random_numbers_alone(run: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    TrainedDetector.load(run)
    assert torch.equal(torch.rand(3), expected)


def _no_weights(run: Path) -> None:
    (run / WEIGHTS).unlink()


def _truncated_weights(run: Path) -> None:
    (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:-100])


def _no_config(run: Path) -> None:
    (run / "config.json").unlink()


def _torn_config(run: Path) -> None:
    (run / "config.json").write_text((run / "config.json").read_text()[:-100])


def _list(run: Path) -> None:
    (run / "config.json").write_text("[1, 2]")


def _changed(*path: str, value: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        part = config
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
        (run / "config.json").write_text(json.dumps(config))

    return change


def _without(key: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        del config[key]
        (run / "config.json").write_text(json.dumps(config))

    return change


def _half_a_classifier(run: Path) -> None:
    from safetensors.torch import save_file

    tensors = load_file(run / WEIGHTS)
    del tensors["classifier/bias"]
    save_file(tensors, run / WEIGHTS)


@pytest.mark.parametrize(
    "spoil",
    [
        _no_weights, _truncated_weights, _no_config, _torn_config, _list, _half_a_classifier,
        _without("training"), _without("classes"), _without("features"),
        _changed("training", "epochs", value=0), _changed("training", "unknown", value=1),
        _changed("training", "length", value=None), _changed("features", "channels", value=12),
        _changed("features", "channels", value=-4), _changed("features", "manifest", value={"fps": "fast"}),
        _changed("classes", value=["one", "class", "too", "many"]), _changed("classes", value="run"),
        _changed("training", "learning_rate", value=10**400), _changed("training", "max_detections", value=2.5),
        _changed("training", "length", value=10**9), _changed("features", "channels", value=10**9),
    ],
)  # fmt: skip
def test_a_spoilt_run_is_told_in_a_line_that_names_it(spoil: Callable[[Path], None], run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "spoilt")
    spoil(copy)
    with pytest.raises(SolaError, match="spoilt") as caught:
        TrainedDetector.load(copy)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"nowhere: no such folder"):
        TrainedDetector.load(tmp_path / "nowhere")


def test_a_strangers_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years")
    with pytest.raises(SolaError, match=r"expected a finished run of `sola train-detector`"):
        TrainedDetector.load(tmp_path)


# --- proposals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timed_by", ["manifest", "duration"])
def test_proposals_of_overlapping_windows_are_those_of_each_merged_in_seconds(
    timed_by: str, detector: TrainedDetector, data: Dataset, features: FeatureSet, annotations: Annotations
) -> None:
    """Window by window, decoded in seconds, one soft-NMS over all in plain loops."""
    video = max(features.videos, key=features.length)
    record, array = annotations.videos[video], features.read(video)
    assert record.duration is not None
    if timed_by == "manifest":
        manifest = Manifest(fps=12, stride=3, window=8, offset=2)
        seconds = [(2 + 3 * (i - 0.5) + 4) / 12 for i in range(2 * len(array))]  # where each snippet's stretch begins
    else:
        manifest = Manifest()
        seconds = [i * record.duration / len(array) for i in range(2 * len(array))]
    detector = replace(detector, manifest=manifest)
    firsts = [*range(0, len(array) - 16, 8), len(array) - 16]
    assert len(firsts) > 2
    candidates: list[list[float]] = []
    for first in firsts:
        clip = torch.from_numpy(rescale(array[first : first + 16], 8)).float().T[None]
        with torch.inference_mode():
            prediction = detector.model(clip)
        unit = (seconds[first + 16] - seconds[first]) / 8
        (decoded,) = detector.model.decode(prediction)
        start, end = (seconds[first] + unit * units for units in (decoded.start, decoded.end))
        candidates += [list(row) for row in zip(start, end, decoded.score, strict=True)]
    expected = []
    while candidates and len(expected) < TINY.max_detections:
        start, end, score = best = max(candidates, key=lambda row: row[2])
        candidates.remove(best)
        expected.append((start, end, score))
        for row in candidates:
            inside = max(min(row[1], end) - max(row[0], start), 0)
            row[2] *= math.exp(-((inside / (row[1] - row[0] + end - start - inside)) ** 2) / TINY.sigma)
    data = Dataset.open(replace(features, manifest=manifest), annotations).only([video])
    got = propose(detector, data, device="cpu")[video]
    np.testing.assert_allclose(np.stack([got.start, got.end, got.score], axis=1), expected, atol=1e-5)


def placed(placements: tuple[Placement, ...], video: list[int], length: int) -> Clips:
    """Clips without features or instances."""
    count, videos = len(placements), max(video) + 1
    return Clips(
        np.zeros((count * length, 1), np.float32),
        np.arange(count + 1) * length,
        tuple(map(str, range(videos))),
        ((0.0, 1.0),) * videos,
        np.array(video),
        placements,
        (torch.zeros(0, 2),) * count,
        (torch.zeros(0, dtype=torch.int64),) * count,
    )


@given(
    begin=st.floats(-5, 500), unit=st.floats(0.01, 20), length=st.integers(1, 100),
    shifts=st.lists(st.floats(0, 300), max_size=4), units=st.floats(0, 100),
)  # fmt: skip
@settings(max_examples=100, deadline=None, derandomize=True)
def test_lengths_of_a_clip_and_back_are_the_same_seconds(
    begin: float, unit: float, length: int, shifts: list[float], units: float
) -> None:
    placements = tuple(Placement(begin + shift, unit) for shift in (0.0, *sorted(shifts)))
    count = len(placements)
    clips = placed(placements, [0] * count, length)
    found = Segments(np.array([units]), np.array([units + length]), np.zeros(1, np.int64), np.ones(1))
    for clip, placement in enumerate(placements):
        back = in_seconds(relative(found, clips, clip, 0), clips, 0)
        np.testing.assert_allclose(back.start, placement.seconds(units), atol=1e-8)
        np.testing.assert_allclose(back.end - back.start, unit * length, atol=1e-8)


def test_every_video_has_a_base_of_its_own() -> None:
    placements = (Placement(0.0, 1.0), Placement(5.0, 1.0), Placement(100.0, 2.0), Placement(110.0, 2.0))
    clips = placed(placements, [0, 0, 1, 1], 10)
    found = Segments(np.zeros(1), np.ones(1), np.zeros(1, np.int64), np.ones(1))
    moved = [relative(found, clips, clip, first) for clip, first in ((0, 0), (1, 0), (2, 2), (3, 2))]
    assert [float(one.start[0]) for one in moved] == pytest.approx([0.0, 0.5, 0.0, 0.5])
    assert [float(one.end[0] - one.start[0]) for one in moved] == pytest.approx([0.1] * 4)


def test_proposals_are_of_every_video_best_first_and_do_not_depend_on_the_others(
    detector: TrainedDetector, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = propose(detector, data, device="cpu")
    assert together.keys() == {video.id for video in data.videos}
    monkeypatch.setattr("sola.detectors.detect.VIDEOS_AT_A_TIME", 2)
    for video, found in propose(detector, data, device="cpu").items():
        assert (np.diff(found.score) <= 0).all()
        np.testing.assert_allclose(found.score, together[video].score, rtol=1e-4)


def test_proposals_go_by_the_name_of_the_annotations(
    detector: TrainedDetector, data: Dataset, features: FeatureSet, annotations: Annotations
) -> None:
    video = features.videos[0]
    record = replace(annotations.videos[video], video=f"v_{video}")
    data = Dataset.open(features, Annotations({record.video: record}, annotations.classes))
    assert list(propose(detector, data, device="cpu")) == [f"v_{video}"]


def test_bad_files_may_be_skipped_wherever_they_lie(
    detector: TrainedDetector, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad one is alone in its share of the videos."""
    folder = shutil.copytree(world / "features", tmp_path / "features")
    video = sorted(path.stem for path in folder.glob("*.npy"))[-1]
    np.save(folder / f"{video}.npy", np.full((30, 8), np.nan, np.float32))
    data = Dataset.open(folder, skip_bad=True)
    monkeypatch.setattr("sola.detectors.detect.VIDEOS_AT_A_TIME", 1)
    skipped: dict[str, str] = {}
    found = propose(detector, data, device="cpu", skipped=skipped)
    assert set(found) == {one.id for one in data.videos} - {video}
    assert list(skipped) == [video]
    assert set(name_proposals(detector, data, found)) == set(found)


def test_only_bad_files_are_refused_even_if_they_may_be_skipped(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    Manifest(fps=4.0).write(tmp_path / "features")
    np.save(tmp_path / "features" / "a.npy", np.full((30, 8), np.nan, np.float32))
    data = Dataset.open(tmp_path / "features", skip_bad=True)
    with pytest.raises(SolaError, match=r"a\.npy"):
        propose(detector, data, device="cpu")


# --- the chain ---------------------------------------------------------------------------------------------------

CHAIN = Manifest(dim=8, fps=30, stride=8, window=16, offset=0, encoder="tsp", sola={"fingerprint": "a" * 64})


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"fps": 25.0}, "fps=25.0.*fps=30"), ({"stride": 4.0}, "stride=4"), ({"window": 8.0}, "window=8"),
     ({"offset": 1.0}, "offset=1"), ({"encoder": "i3d"}, "encoder=i3d"), ({"dim": 16}, "dim=16"),
     ({"sola": None}, "no SoLa module.*the SoLa module aaaa"), ({"sola": {"fingerprint": "b" * 64}}, "bbbb.*aaaa")],
)  # fmt: skip
def test_another_chain_is_refused(changed: dict[str, Any], named: str, detector: TrainedDetector) -> None:
    with pytest.raises(SolaError, match=named):
        replace(detector, manifest=CHAIN).check_compatible(replace(CHAIN, **changed))


def test_transformed_features_are_refused_where_raw_ones_were_learned(detector: TrainedDetector) -> None:
    with pytest.raises(SolaError, match=r"the SoLa module aaaa.*no SoLa module"):
        replace(detector, manifest=replace(CHAIN, sola=None)).check_compatible(CHAIN)


@pytest.mark.parametrize("silent", ["fps", "stride", "window", "offset", "encoder", "dim"])
def test_what_one_side_does_not_say_is_no_difference(silent: str, detector: TrainedDetector) -> None:
    detector = replace(detector, manifest=CHAIN)
    detector.check_compatible(CHAIN)
    detector.check_compatible(replace(CHAIN, **{silent: None}))


def test_snippets_that_are_otherwise_apart_in_time_are_refused(detector: TrainedDetector, data: Dataset) -> None:
    """The manifest is silent: the period is that of the durations. A run of an earlier version has none."""
    assert detector.snippet_period == pytest.approx(0.25)
    detector.check_timing(data)
    replace(detector, snippet_period=None).check_timing(data)
    message = (
        r"the features have a snippet every 0\.25 s, the detector was trained on features with one every 1 s: fps or "
        r"stride of one of them looks wrong by a factor of 4, or its features are padded; state the same "
        r"timing for both"
    )
    for call in (lambda other: other.check_timing(data), lambda other: detect(other, data, device="cpu")):
        with pytest.raises(SolaError, match=message):
            call(replace(detector, snippet_period=1.0))


def test_the_classes_that_were_trained_are_known(detector: TrainedDetector, data: Dataset) -> None:
    assert detector.trained_classes == data.classes
    assert set(detector.trained_classes) <= set(detector.classes)


def test_another_width_is_refused_where_the_manifest_does_not_say(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 12), np.float32))
    data = Dataset.open(tmp_path / "wide", timing={"fps": 4.0})
    with pytest.raises(SolaError, match=r"12 channels, the detector was trained on 8"):
        propose(detector, data, device="cpu")


# --- names -------------------------------------------------------------------------------------------------------

PROPOSALS = Segments(np.array([0.0, 2.0]), np.array([2.0, 4.0]), np.zeros(2, np.int64), np.array([0.8, 0.5]))


def test_an_external_classifier_names_proposals(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes, np.array([[0.1, 0.2, 0.7]]))
    found = name_proposals(detector, data, {video: PROPOSALS}, scores=scores)[video]
    assert found.label.tolist() == [2, 2, 1, 1]
    assert found.score.tolist() == pytest.approx([0.56, 0.35, 0.16, 0.1])
    assert found.start.tolist() == [0.0, 2.0, 0.0, 2.0]


def test_scores_may_be_joined_by_their_root(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes, np.array([[0.0, 0.0, 0.5]]))
    found = name_proposals(detector, data, {video: PROPOSALS}, scores=scores, combine="sqrt")[video]
    assert found.score[:2].tolist() == pytest.approx([0.4**0.5, 0.25**0.5])


def test_the_snippet_classifier_names_a_proposal_by_the_snippets_inside(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    assert detector.classifier is not None
    found = name_proposals(detector, data, {video: PROPOSALS})[video]
    array = features.read(video)
    chances = detector.classifier.probabilities(array)
    expected = []
    for start, end, score in zip(PROPOSALS.start, PROPOSALS.end, PROPOSALS.score, strict=True):
        inside = [i for i in range(len(array)) if start <= SnippetGrid(fps=4.0).seconds(i) < end]
        mean = [sum(float(chances[i, label]) for i in inside) / len(inside) for label in range(3)]
        best = sorted(range(3), key=lambda label: -mean[label])[:2]
        expected += [(score * mean[label], start, label) for label in best]
    expected.sort(reverse=True)
    assert found.label.tolist() == [label for _, _, label in expected]
    np.testing.assert_allclose(found.score, [score for score, _, _ in expected], atol=1e-5)
    np.testing.assert_allclose(found.start, [start for _, start, _ in expected])


def test_an_external_classifier_goes_before_the_snippet_classifier(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    one = SnippetClassifier(np.zeros((8, 3), np.float32), np.array([100.0, 0, 0], np.float32))
    detector = replace(detector, classifier=one, config=replace(TINY, classes_per_proposal=1))
    scores = VideoScores((video,), detector.classes, np.array([[0.0, 1.0, 0.0]]))
    assert name_proposals(detector, data, {video: PROPOSALS})[video].label.tolist() == [0, 0]
    named = name_proposals(detector, data, {video: PROPOSALS}, scores=scores)
    assert named[video].label.tolist() == [1, 1]


def test_more_names_than_classes_are_all_classes(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    detector = replace(detector, config=replace(TINY, classes_per_proposal=50))
    found = name_proposals(detector, data, {video: PROPOSALS})[video]
    assert sorted(found.label.tolist()) == [0, 0, 1, 1, 2, 2]
    assert (np.diff(found.score) <= 0).all()


def test_without_a_classifier_there_are_no_names(detector: TrainedDetector, data: Dataset) -> None:
    with pytest.raises(SolaError, match=r"--classifier"):
        name_proposals(replace(detector, classifier=None), data, {"a": PROPOSALS})


def test_a_video_that_the_classifier_lacks_is_named(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    scores = VideoScores(("other",), detector.classes, np.ones((1, 3)))
    with pytest.raises(SolaError, match=f"video '{video}': no class scores"):
        name_proposals(detector, data, {video: PROPOSALS}, scores=scores)


def test_scores_of_other_classes_are_refused(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    """In another order, all names would be wrong, and nothing would say so."""
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes[::-1], np.ones((1, 3)))
    with pytest.raises(SolaError, match="classes"):
        name_proposals(detector, data, {video: PROPOSALS}, scores=scores)


def test_untrimmednets_array_names_proposals_of_thumos14(
    detector: TrainedDetector, data: Dataset, tmp_path: Path
) -> None:
    rows, columns = thumos14_layout()
    table = np.zeros((len(rows), len(columns)), np.float32)
    table[3, 8] = 0.9  # test video 4, UCF-101's class 9: BasketballDunk
    np.save(tmp_path / "uNet_test.npy", table)
    classes = ("BaseballPitch", "BasketballDunk", "Billiards")
    scores = read_classifier(
        tmp_path / "uNet_test.npy", videos=["video_test_0000004"], classes=classes, rows=rows, columns=columns
    )
    data = replace(data, videos=(replace(data.videos[0], id="video_test_0000004"),))
    detector = replace(detector, classes=classes, config=replace(TINY, classes_per_proposal=1))
    found = name_proposals(detector, data, {"video_test_0000004": PROPOSALS}, scores=scores)["video_test_0000004"]
    assert found.label.tolist() == [1, 1]
    assert found.score.tolist() == pytest.approx([0.72, 0.45])
