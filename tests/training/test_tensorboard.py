"""TensorBoard event files after a training, a resume and an overwrite."""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.softlanding.config import TrainingConfig
from sola.softlanding.task import SimilarityMatching
from sola.softlanding.train import train
from sola.training import checkpoint
from sola.training.run import Run
from sola.training.tensorboard import tensorboard_writer

SMALL = TrainingConfig(step=2, hidden=8, projector_hidden=8, epochs=4, batch_size=4, precision="fp32", device="cpu")


@pytest.fixture
def features(tmp_path: Path) -> FeatureSet:
    """Six videos, which give two batches per epoch."""
    folder = tmp_path / "features"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(6):
        np.save(folder / f"video{i}.npy", generator.normal(size=(40, 6)).astype(np.float32))
    return FeatureSet.open(folder)


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves that TensorBoard shows for a run: (step, value) by name."""
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def logged(run: Path, name: str) -> list[tuple[int, float]]:
    """Return a curve from the log, at the precision of an event file."""
    return [(row["epoch"], float(np.float32(row[name]))) for row in Run(run).rows()]


class PowerCutError(Exception):
    """Simulates a machine that goes down."""


def stopped_after(
    steps: int, monkeypatch: pytest.MonkeyPatch, features: FeatureSet, run: Path, **options: bool
) -> None:
    """Start a training that fails after `steps` steps, with a checkpoint every three steps."""
    done = iter(range(steps))
    original = SimilarityMatching.batch

    def batch(self: SimilarityMatching, epoch: int, step: int) -> object:
        if next(done, None) is None:
            raise PowerCutError
        return original(self, epoch, step)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "CHECKPOINT_STEPS", 3)
        patch.setattr(SimilarityMatching, "batch", batch)
        with pytest.raises(PowerCutError):
            train(features, SMALL, run, quiet=True, **options)


def test_curves_equal_the_rows_of_the_log(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", tensorboard=True, quiet=True)
    names = {"loss", "gate", "windows_per_s", "feature_std", "effective_rank"}
    assert curves(tmp_path / "run") == {name: logged(tmp_path / "run", name) for name in names}


def test_the_curve_of_a_resumed_run_has_each_epoch_once(
    features: FeatureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails in step 6, after a checkpoint at step 3, so epoch 2 is trained and written twice."""
    stopped_after(5, monkeypatch, features, tmp_path / "run", tensorboard=True)
    assert [step for step, _ in curves(tmp_path / "run")["loss"]] == [1, 2]
    train(features, SMALL, tmp_path / "run", resume=True, tensorboard=True, quiet=True)
    assert curves(tmp_path / "run")["loss"] == logged(tmp_path / "run", "loss")
    assert len(curves(tmp_path / "run")["loss"]) == 4


def test_a_run_resumed_with_tensorboard_shows_earlier_epochs(
    features: FeatureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after(5, monkeypatch, features, tmp_path / "run")
    train(features, SMALL, tmp_path / "run", resume=True, tensorboard=True, quiet=True)
    assert curves(tmp_path / "run")["gate"] == logged(tmp_path / "run", "gate")


def test_a_run_resumed_without_tensorboard_has_the_same_weights(
    features: FeatureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after(5, monkeypatch, features, tmp_path / "run", tensorboard=True)
    train(features, SMALL, tmp_path / "run", resume=True, quiet=True)
    train(features, SMALL, tmp_path / "plain", quiet=True)
    weights = [(tmp_path / name / "module.safetensors").read_bytes() for name in ("run", "plain")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("tensorboard", [True, False])
def test_overwrite_removes_old_curves(features: FeatureSet, tmp_path: Path, tensorboard: bool) -> None:
    train(features, SMALL, tmp_path / "run", tensorboard=True, quiet=True)
    (tmp_path / "run" / "tensorboard" / "notes.txt").write_text("notes")
    short = TrainingConfig(**{**vars(SMALL), "epochs": 2})
    train(features, short, tmp_path / "run", overwrite=True, tensorboard=tensorboard, quiet=True)
    assert curves(tmp_path / "run").get("loss", []) == (logged(tmp_path / "run", "loss") if tensorboard else [])
    assert (tmp_path / "run" / "tensorboard" / "notes.txt").read_text() == "notes"


def test_there_is_no_folder_without_tensorboard(features: FeatureSet, tmp_path: Path) -> None:
    train(features, SMALL, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")
    with (
        pytest.raises(SolaError, match=r"tensorboard: cannot be written"),
        tensorboard_writer(Run(tmp_path), True, epochs=0),
    ):
        pass


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "world"
    write(SyntheticWorld(3, 2, length=40, channels=8, action_length=8, classes=3), folder, seed=0)
    return folder


MODULE = ["--step", "2", "--hidden", "4", "--epochs", "2", "--device", "cpu", "--quiet"]
HEAD = [
    "--model", "gtad", "--bins", "4", "--context-bins", "2", "--length", "8",
    "--window-size", "16", "--window-stride", "8",
    "--max-duration", "4", "--epochs", "2", "--classifier-epochs", "1", "--device", "cpu", "--quiet",
]  # fmt: skip


def test_both_training_commands_have_the_flag(world: Path, tmp_path: Path) -> None:
    tracked = ["--tensorboard"]
    assert sola("train", world / "features", "--out", tmp_path / "module", *MODULE, *tracked) == 0
    annotations = ["--annotations", world / "annotations.json"]
    assert sola("train-detector", world / "features", *annotations, "--out", tmp_path / "head", *HEAD, *tracked) == 0
    for run in (tmp_path / "module", tmp_path / "head"):
        assert curves(run)["loss"] == logged(run, "loss")


def test_a_run_can_be_resumed_with_or_without_tensorboard(world: Path, tmp_path: Path) -> None:
    command = ["train", world / "features", "--out", tmp_path / "run", *MODULE]
    assert sola(*command, "--tensorboard") == 0
    assert sola(*command, "--resume") == 0


@pytest.mark.parametrize("command", [["train"], ["train-detector"]])
def test_a_missing_extra_is_reported_before_training(
    world: Path,
    tmp_path: Path,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    annotations = ["--annotations", world / "annotations.json"]
    options = [*annotations, *(HEAD if "train-detector" in command else MODULE), "--tensorboard"]
    line = refused(capsys, *command, world / "features", "--out", tmp_path / "run", *options)
    assert line.endswith("is not installed; pip install -c constraints.txt 'sola-tal[tensorboard]'")
    assert not (tmp_path / "run").exists()
