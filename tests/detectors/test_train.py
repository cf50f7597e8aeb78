"""Train and run detectors: exact repetition, resume, the best epoch, merged windows, and matching features."""

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
    """A small synthetic data set, which tests only read."""
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
    """A finished run, which tests only read."""
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
    """Return the log without throughput and without marks of a resume."""
    ignored = ("windows_per_s", "resumed_from_epoch")
    return [{key: value for key, value in row.items() if key not in ignored} for row in Run(run).rows()]


@contextmanager
def before_every_step(call: Callable[[torch.optim.Optimizer, int], None]) -> Iterator[None]:
    """Call `call(optimizer, number)` before each step; numbers start at 1."""
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
    """Simulates a machine that goes down."""


def power_cut(at: int) -> Callable[[torch.optim.Optimizer, int], None]:
    def call(optimizer: torch.optim.Optimizer, number: int) -> None:
        if number == at:
            raise PowerCutError

    return call


# --- training ----------------------------------------------------------------------------------------------------


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


def test_a_resumed_run_continues_with_the_learning_rate_of_its_epoch(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    config = replace(TINY, decay_every=1)
    steps = math.ceil(len(clips_of(data, "training", TINY)) / TINY.batch_size)
    with before_every_step(power_cut(2 * steps + 1)), pytest.raises(PowerCutError):
        trained(data, config, tmp_path / "run", quiet=True)
    rates: list[float] = []
    with before_every_step(lambda optimizer, number: rates.append(optimizer.param_groups[0]["lr"])):
        trained(data, config, tmp_path / "run", resume=True, quiet=True)
    assert rates == pytest.approx([1e-5] * steps + [1e-6] * steps)


@pytest.mark.parametrize("cut", [1, 2, 3, 6])
def test_a_training_resumed_after_any_step_ends_in_the_same_bits(
    cut: int, data: Dataset, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(cut)), pytest.raises(PowerCutError):
        trained(data, TINY, tmp_path / "cut", quiet=True)
    trained(data, TINY, tmp_path / "cut", resume=True, quiet=True)
    assert weights(tmp_path / "cut") == weights(run)
    assert log(tmp_path / "cut") == log(run)


def test_bmn_resumes_to_the_same_bits(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its largest weight has a special memory order, which the state of Adam must have too."""
    config = replace(TINY_BMN, epochs=1, classifier_epochs=0, batch_size=2)
    trained(data, config, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(sola.training.checkpoint, "CHECKPOINT_STEPS", 1)
    with before_every_step(power_cut(2)), pytest.raises(PowerCutError):
        trained(data, config, tmp_path / "cut", quiet=True)
    trained(data, config, tmp_path / "cut", resume=True, quiet=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_run_stopped_within_an_epoch_resumes_to_the_same_bits(data: Dataset, run: Path, tmp_path: Path) -> None:
    """After SIGINT in the second step, the step is completed, a checkpoint is written, and no step is repeated."""
    with (
        before_every_step(lambda _, number: signal.raise_signal(signal.SIGINT) if number == 2 else None),
        pytest.raises(KeyboardInterrupt),
    ):
        trained(data, TINY, tmp_path / "stopped", quiet=True)
    assert not (tmp_path / "stopped" / WEIGHTS).exists()
    steps_taken: list[int] = []
    with before_every_step(lambda _, number: steps_taken.append(number)):
        trained(data, TINY, tmp_path / "stopped", resume=True, quiet=True)
    steps = math.ceil(len(clips_of(data, "training", TINY)) / TINY.batch_size)
    assert len(steps_taken) == TINY.epochs * steps - 2
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
    """Validation losses on other instances are not comparable."""
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


# --- the best epoch ----------------------------------------------------------------------------------------------


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


# --- loading -----------------------------------------------------------------------------------------------------


def test_a_loaded_detector_equals_the_saved_detector(
    detector: TrainedDetector, data: Dataset, run: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / WEIGHTS).unlink()
    detector.save_weights(copy)
    validation, results = data.subset("validation"), []
    for each in (detector, TrainedDetector.load(copy)):
        proposals = propose(each, validation, device="cpu")
        results.append(name_proposals(each, validation, proposals))
    assert results[0].keys() == results[1].keys() == {video.id for video in validation.videos}
    for video in results[0]:
        for name in ("start", "end", "label", "score"):
            np.testing.assert_array_equal(getattr(results[0][video], name), getattr(results[1][video], name))


def test_loading_keeps_the_random_state_of_the_caller(run: Path) -> None:
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
    "damage",
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
def test_a_damaged_run_is_reported_in_one_line(damage: Callable[[Path], None], run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "damaged")
    damage(copy)
    with pytest.raises(SolaError, match="damaged") as caught:
        TrainedDetector.load(copy)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SolaError, match=r"nowhere: no such folder"):
        TrainedDetector.load(tmp_path / "nowhere")


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("text")
    with pytest.raises(SolaError, match=r"expected a finished run of `sola train-detector`"):
        TrainedDetector.load(tmp_path)


# --- proposals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timed_by", ["manifest", "duration"])
def test_proposals_of_overlapping_windows_are_merged_in_seconds(
    timed_by: str, detector: TrainedDetector, data: Dataset, features: FeatureSet, annotations: Annotations
) -> None:
    """Compare with plain loops: decode each window in seconds, then apply soft-NMS to all candidates."""
    video = max(features.videos, key=features.length)
    record, array = annotations.videos[video], features.read(video)
    assert record.duration is not None
    if timed_by == "manifest":
        manifest = Manifest(fps=12, stride=3, window=8, offset=2)
        seconds = [(2 + 3 * (i - 0.5) + 4) / 12 for i in range(2 * len(array))]  # start of each snippet
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
def test_relative_segments_convert_back_to_the_same_seconds(
    begin: float, unit: float, length: int, shifts: list[float], units: float
) -> None:
    placements = tuple(Placement(begin + shift, unit) for shift in (0.0, *sorted(shifts)))
    count = len(placements)
    clips = placed(placements, [0] * count, length)
    segments = Segments(np.array([units]), np.array([units + length]), np.zeros(1, np.int64), np.ones(1))
    for clip, placement in enumerate(placements):
        back = in_seconds(relative(segments, clips, clip, 0), clips, 0)
        np.testing.assert_allclose(back.start, placement.seconds(units), atol=1e-8)
        np.testing.assert_allclose(back.end - back.start, unit * length, atol=1e-8)


def test_segments_are_relative_to_the_first_clip_of_their_video() -> None:
    placements = (Placement(0.0, 1.0), Placement(5.0, 1.0), Placement(100.0, 2.0), Placement(110.0, 2.0))
    clips = placed(placements, [0, 0, 1, 1], 10)
    segments = Segments(np.zeros(1), np.ones(1), np.zeros(1, np.int64), np.ones(1))
    moved = [relative(segments, clips, clip, first) for clip, first in ((0, 0), (1, 0), (2, 2), (3, 2))]
    assert [float(segment.start[0]) for segment in moved] == pytest.approx([0.0, 0.5, 0.0, 0.5])
    assert [float(segment.end[0] - segment.start[0]) for segment in moved] == pytest.approx([0.1] * 4)


def test_proposals_are_sorted_and_do_not_depend_on_other_videos(
    detector: TrainedDetector, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = propose(detector, data, device="cpu")
    assert together.keys() == {video.id for video in data.videos}
    monkeypatch.setattr("sola.detectors.detect.VIDEOS_AT_A_TIME", 2)
    for video, proposals in propose(detector, data, device="cpu").items():
        assert (np.diff(proposals.score) <= 0).all()
        np.testing.assert_allclose(proposals.score, together[video].score, rtol=1e-4)


def test_proposals_have_the_video_ids_of_the_annotations(
    detector: TrainedDetector, data: Dataset, features: FeatureSet, annotations: Annotations
) -> None:
    video = features.videos[0]
    record = replace(annotations.videos[video], video=f"v_{video}")
    data = Dataset.open(features, Annotations({record.video: record}, annotations.classes))
    assert list(propose(detector, data, device="cpu")) == [f"v_{video}"]


def test_bad_files_can_be_skipped(
    detector: TrainedDetector, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad file is the only one in its group of videos."""
    folder = shutil.copytree(world / "features", tmp_path / "features")
    video = sorted(path.stem for path in folder.glob("*.npy"))[-1]
    np.save(folder / f"{video}.npy", np.full((30, 8), np.nan, np.float32))
    data = Dataset.open(folder, skip_bad=True)
    monkeypatch.setattr("sola.detectors.detect.VIDEOS_AT_A_TIME", 1)
    skipped: dict[str, str] = {}
    proposals = propose(detector, data, device="cpu", skipped=skipped)
    assert set(proposals) == {each.id for each in data.videos} - {video}
    assert list(skipped) == [video]
    assert set(name_proposals(detector, data, proposals)) == set(proposals)


def test_skipping_all_files_is_refused(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    Manifest(fps=4.0).write(tmp_path / "features")
    np.save(tmp_path / "features" / "a.npy", np.full((30, 8), np.nan, np.float32))
    data = Dataset.open(tmp_path / "features", skip_bad=True)
    with pytest.raises(SolaError, match=r"a\.npy"):
        propose(detector, data, device="cpu")


# --- matching features -------------------------------------------------------------------------------------------

MANIFEST = Manifest(dim=8, fps=30, stride=8, window=16, offset=0, encoder="tsp", sola={"fingerprint": "a" * 64})


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"fps": 25.0}, "fps=25.0.*fps=30"), ({"stride": 4.0}, "stride=4"), ({"window": 8.0}, "window=8"),
     ({"offset": 1.0}, "offset=1"), ({"encoder": "i3d"}, "encoder=i3d"), ({"dim": 16}, "dim=16"),
     ({"sola": None}, "no SoLa module.*the SoLa module aaaa"), ({"sola": {"fingerprint": "b" * 64}}, "bbbb.*aaaa")],
)  # fmt: skip
def test_features_with_another_manifest_are_refused(
    changed: dict[str, Any], named: str, detector: TrainedDetector
) -> None:
    with pytest.raises(SolaError, match=named):
        replace(detector, manifest=MANIFEST).check_compatible(replace(MANIFEST, **changed))


def test_transformed_features_are_refused_after_training_on_raw_features(detector: TrainedDetector) -> None:
    with pytest.raises(SolaError, match=r"the SoLa module aaaa.*no SoLa module"):
        replace(detector, manifest=replace(MANIFEST, sola=None)).check_compatible(MANIFEST)


@pytest.mark.parametrize("silent", ["fps", "stride", "window", "offset", "encoder", "dim"])
def test_unknown_manifest_values_are_accepted(silent: str, detector: TrainedDetector) -> None:
    detector = replace(detector, manifest=MANIFEST)
    detector.check_compatible(MANIFEST)
    detector.check_compatible(replace(MANIFEST, **{silent: None}))


def test_features_with_another_snippet_period_are_refused(detector: TrainedDetector, data: Dataset) -> None:
    """Without a manifest, the period comes from the durations. Runs of earlier versions have no period."""
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


def test_the_trained_classes_are_recorded(detector: TrainedDetector, data: Dataset) -> None:
    assert detector.trained_classes == data.classes
    assert set(detector.trained_classes) <= set(detector.classes)


def test_a_wrong_number_of_channels_is_refused_without_a_manifest(detector: TrainedDetector, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 12), np.float32))
    data = Dataset.open(tmp_path / "wide", timing={"fps": 4.0})
    with pytest.raises(SolaError, match=r"12 channels, the detector was trained on 8"):
        propose(detector, data, device="cpu")


# --- classes -----------------------------------------------------------------------------------------------------

PROPOSALS = Segments(np.array([0.0, 2.0]), np.array([2.0, 4.0]), np.zeros(2, np.int64), np.array([0.8, 0.5]))


def test_classes_from_an_external_classifier(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes, np.array([[0.1, 0.2, 0.7]]))
    detections = name_proposals(detector, data, {video: PROPOSALS}, scores=scores)[video]
    assert detections.label.tolist() == [2, 2, 1, 1]
    assert detections.score.tolist() == pytest.approx([0.56, 0.35, 0.16, 0.1])
    assert detections.start.tolist() == [0.0, 2.0, 0.0, 2.0]


def test_scores_can_be_combined_by_square_root(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes, np.array([[0.0, 0.0, 0.5]]))
    detections = name_proposals(detector, data, {video: PROPOSALS}, scores=scores, combine="sqrt")[video]
    assert detections.score[:2].tolist() == pytest.approx([0.4**0.5, 0.25**0.5])


def test_the_snippet_classifier_uses_the_snippets_inside_a_proposal(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    assert detector.classifier is not None
    detections = name_proposals(detector, data, {video: PROPOSALS})[video]
    array = features.read(video)
    probabilities = detector.classifier.probabilities(array)
    expected = []
    for start, end, score in zip(PROPOSALS.start, PROPOSALS.end, PROPOSALS.score, strict=True):
        inside = [i for i in range(len(array)) if start <= SnippetGrid(fps=4.0).seconds(i) < end]
        mean = [sum(float(probabilities[i, label]) for i in inside) / len(inside) for label in range(3)]
        best = sorted(range(3), key=lambda label: -mean[label])[:2]
        expected += [(score * mean[label], start, label) for label in best]
    expected.sort(reverse=True)
    assert detections.label.tolist() == [label for _, _, label in expected]
    np.testing.assert_allclose(detections.score, [score for score, _, _ in expected], atol=1e-5)
    np.testing.assert_allclose(detections.start, [start for _, start, _ in expected])


def test_an_external_classifier_takes_precedence_over_the_snippet_classifier(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    classifier = SnippetClassifier(np.zeros((8, 3), np.float32), np.array([100.0, 0, 0], np.float32))
    detector = replace(detector, classifier=classifier, config=replace(TINY, classes_per_proposal=1))
    scores = VideoScores((video,), detector.classes, np.array([[0.0, 1.0, 0.0]]))
    assert name_proposals(detector, data, {video: PROPOSALS})[video].label.tolist() == [0, 0]
    detections = name_proposals(detector, data, {video: PROPOSALS}, scores=scores)
    assert detections[video].label.tolist() == [1, 1]


def test_the_number_of_classes_per_proposal_is_limited_to_all_classes(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    detector = replace(detector, config=replace(TINY, classes_per_proposal=50))
    detections = name_proposals(detector, data, {video: PROPOSALS})[video]
    assert sorted(detections.label.tolist()) == [0, 0, 1, 1, 2, 2]
    assert (np.diff(detections.score) <= 0).all()


def test_assigning_classes_without_a_classifier_is_refused(detector: TrainedDetector, data: Dataset) -> None:
    with pytest.raises(SolaError, match=r"--classifier"):
        name_proposals(replace(detector, classifier=None), data, {"a": PROPOSALS})


def test_a_video_without_class_scores_is_reported(
    detector: TrainedDetector, data: Dataset, features: FeatureSet
) -> None:
    video = features.videos[0]
    scores = VideoScores(("other",), detector.classes, np.ones((1, 3)))
    with pytest.raises(SolaError, match=f"video '{video}': no class scores"):
        name_proposals(detector, data, {video: PROPOSALS}, scores=scores)


def test_scores_of_other_classes_are_refused(detector: TrainedDetector, data: Dataset, features: FeatureSet) -> None:
    """Another order of classes would silently give wrong classes."""
    video = features.videos[0]
    scores = VideoScores((video,), detector.classes[::-1], np.ones((1, 3)))
    with pytest.raises(SolaError, match="classes"):
        name_proposals(detector, data, {video: PROPOSALS}, scores=scores)


def test_classes_from_the_array_of_untrimmednet_for_thumos14(
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
    detections = name_proposals(detector, data, {"video_test_0000004": PROPOSALS}, scores=scores)["video_test_0000004"]
    assert detections.label.tolist() == [1, 1]
    assert detections.score.tolist() == pytest.approx([0.72, 0.45])
