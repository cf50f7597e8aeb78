"""A training of a detector continues exactly where it stopped, and only with the same settings and data."""

import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from support.detector_runs import (
    TINY,
    TINY_BMN,
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
from sola.data.annotations import Annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.segments import Segments
from sola.detectors.trained import WEIGHTS


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
