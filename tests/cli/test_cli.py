"""Commands on files: complete runs and every kind of bad input."""

import hashlib
import json
import os
import pickle
import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from support.calling import refused, sola
from support.synthetic import SyntheticWorld, write

from sola.data.features import FeatureSet
from sola.data.journal import JOURNAL, MARK

WORLD = SyntheticWorld(training_videos=6, validation_videos=4, length=80, channels=16, action_length=10)
TRAIN = ["--step", "2", "--hidden", "16", "--projector-hidden", "8", "--epochs", "3", "--quiet"]
METRICS = ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "class_accuracy")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set, shared by all tests and not modified."""
    return write(WORLD, tmp_path_factory.mktemp("shared") / "world")


@pytest.fixture(scope="module")
def run(world: Path) -> Path:
    """A run trained on the synthetic data set."""
    out = world.parent / "run"
    assert sola("train", world / "features", "--out", out, *TRAIN) == 0
    return out


def digest(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


# --- complete runs --------------------------------------------------------------------------------------------------


def test_an_untrained_adapter_does_not_change_features(world: Path, tmp_path: Path) -> None:
    from sola.softlanding.network import SoLa
    from sola.softlanding.trained import TrainedModule

    TrainedModule(SoLa(16, hidden=8)).save(tmp_path / "untrained")
    assert sola("transform", tmp_path / "untrained", world / "features", "--out", tmp_path / "out", "--quiet") == 0
    before, after = digest(world / "features"), digest(tmp_path / "out")
    del before["features.json"], after["features.json"], after[JOURNAL]
    assert before == after


def test_transformed_features_keep_their_layout(world: Path, run: Path, tmp_path: Path) -> None:
    assert sola("transform", run, world / "features", "--out", tmp_path / "out", "--quiet") == 0
    names = {path.name for path in (world / "features").iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {JOURNAL}
    for path in (world / "features").glob("*.npy"):
        before, after = np.load(path), np.load(tmp_path / "out" / path.name)
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert not np.array_equal(before, after)
    manifest = json.loads((tmp_path / "out" / "features.json").read_text())
    assert manifest["fps"] == 4.0
    assert manifest["sola"]["config"]["hidden"] == 16


def test_probe_prints_json_with_all_metrics(world: Path, run: Path, tmp_path: Path, capsys: object) -> None:
    sola("transform", run, world / "features", "--out", tmp_path / "out", "--quiet")
    capsys.readouterr()
    annotations = ["--annotations", world / "annotations.json"]
    compare = ["--compare", f"sola={tmp_path / 'out'}"]
    assert sola("probe", world / "features", *annotations, *compare, "--solver", "ridge", "--seeds", "2", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["name"] == "raw"
    assert rows[-1]["name"] == "sola"
    for row in rows:
        for metric in METRICS:
            assert len(row[metric]["values"]) == 2
            assert row[metric]["mean"] == pytest.approx(np.mean(row[metric]["values"]))


@pytest.mark.parametrize("flags", [["--compare", "a=RAW", "b=RAW"], ["--compare", "a=RAW", "--compare", "b=RAW"]])
def test_compare_accepts_several_values_and_can_be_repeated(flags: list[str], world: Path, capsys: object) -> None:
    flags = [flag.replace("RAW", str(world / "features")) for flag in flags]
    capsys.readouterr()
    annotations = ["--annotations", world / "annotations.json"]
    assert sola("probe", world / "features", *annotations, *flags, "--solver", "ridge", "--seeds", "1", "--json") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["rows"]][-2:] == ["a", "b"]


def test_train_uses_the_videos_of_a_subset(world: Path, tmp_path: Path) -> None:
    annotations = ["--annotations", world / "annotations.json", "--train-subset", "training"]
    assert sola("train", world / "features", *annotations, "--out", tmp_path / "run", *TRAIN) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["features"]["videos"] == 6


def test_two_streams_are_concatenated(world: Path, tmp_path: Path) -> None:
    both = [world / "features", shutil.copytree(world / "features", tmp_path / "flow")]
    assert sola("train", *both, "--out", tmp_path / "run", *TRAIN) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["module"]["channels"] == 32
    assert sola("transform", tmp_path / "run", *both, "--out", tmp_path / "out", "--quiet") == 0
    assert np.load(next((tmp_path / "out").glob("*.npy"))).shape[1] == 32


def test_skip_bad_skips_and_counts_bad_files(world: Path, tmp_path: Path, capsys: object) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    (features / "training_0000.npy").write_bytes(b"\x93NUMPY")
    assert sola("train", features, "--out", tmp_path / "run", *TRAIN, "--skip-bad") == 0
    assert "1 bad file left out, the first: training_0000" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["features"]["videos"] == 9


def test_resuming_a_finished_run_writes_nothing(run: Path, world: Path, capsys: object) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert sola("train", world / "features", "--out", run, *TRAIN, "--resume") == 0
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


# --- bad input ---------------------------------------------------------------------------------------------------


def _truncated(features: Path) -> None:
    path = features / "training_0000.npy"
    path.write_bytes(path.read_bytes()[:-100])


def _nan(features: Path) -> None:
    array = np.load(features / "training_0000.npy")
    array[3, 2] = np.nan
    np.save(features / "training_0000.npy", array)


def _wrong_width(features: Path) -> None:
    np.save(features / "training_0000.npy", np.zeros((50, 15), np.float16))


def _pickled(features: Path) -> None:
    np.save(features / "training_0000.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _bare_pickle(features: Path) -> None:
    (features / "training_0000.npy").write_bytes(pickle.dumps([1, 2]))


def _scalar(features: Path) -> None:
    np.save(features / "training_0000.npy", np.float32(3))


def _header_of_a_terabyte(features: Path) -> None:
    with (features / "training_0000.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**10, 32)})


BAD_FILES = [_truncated, _nan, _wrong_width, _pickled, _bare_pickle, _scalar, _header_of_a_terabyte]


@pytest.mark.parametrize("corrupt", BAD_FILES, ids=lambda corrupt: corrupt.__name__[1:])
@pytest.mark.parametrize("command", ["train", "transform", "probe", "inspect"])
def test_a_bad_file_is_named(
    command: str, corrupt: object, world: Path, run: Path, tmp_path: Path, capsys: object
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    corrupt(features)
    out = tmp_path / "out"
    arguments = {
        "train": [features, "--out", out, *TRAIN],
        "transform": [run, features, "--out", out, "--quiet"],
        "probe": [features, "--annotations", world / "annotations.json", "--json", "--quiet"],
        "inspect": [features, "--out", out, "--quiet"],
    }[command]
    line = refused(capsys, command, *arguments)
    assert "training_0000.npy" in line
    assert "--skip-bad" in line
    if command == "transform":  # the folder is marked as unfinished, and --skip-bad can continue it
        assert not out.exists() or {path.name for path in out.iterdir()} == {MARK, JOURNAL}
    else:
        assert [path.name for path in tmp_path.iterdir()] == ["features"], "unexpected files were left behind"


def test_an_empty_folder_is_rejected(tmp_path: Path, capsys: object) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: no feature files" in refused(capsys, "train", tmp_path / "empty", "--out", tmp_path / "run")


def test_the_parent_folder_of_features_gets_a_suggestion(world: Path, tmp_path: Path, capsys: object) -> None:
    assert "did you mean" in refused(capsys, "train", world, "--out", tmp_path / "run")


def test_a_missing_folder_is_rejected(tmp_path: Path, capsys: object) -> None:
    line = refused(capsys, "train", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert "nowhere: no such directory" in line


def test_an_unknown_subset_is_rejected(world: Path, tmp_path: Path, capsys: object) -> None:
    annotations = ["--annotations", world / "annotations.json", "--train-subset", "dev"]
    line = refused(capsys, "train", world / "features", *annotations, "--out", tmp_path / "run")
    assert "dev" in line
    assert "training" in line
    line = refused(capsys, "probe", world / "features", *annotations[:2], "--test-subset", "dev", "--quiet")
    assert "dev" in line


@pytest.mark.parametrize(
    ("fps", "message"),
    [
        ("30000/1001", "nowhere.json: no such file"),  # the flag is accepted, and the annotations are missing
        ("30/0", "--fps 30/0: expected a number"),
        ("fast", "--fps fast: expected a number"),
    ],
)
def test_a_frame_rate_may_be_a_fraction(world: Path, capsys: object, fps: str, message: str) -> None:
    assert message in refused(capsys, "probe", world / "features", "--annotations", "nowhere.json", "--fps", fps)


def test_videos_shorter_than_the_window_are_rejected(world: Path, tmp_path: Path, capsys: object) -> None:
    line = refused(capsys, "train", world / "features", "--out", tmp_path / "run", "--step", "100", "--quiet")
    assert "the window 709" in line
    assert "--step" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("obstacle", ["parent is a file", "no permission"])
def test_an_output_that_cannot_be_written_is_rejected(
    obstacle: str, world: Path, run: Path, tmp_path: Path, capsys: object
) -> None:
    if obstacle == "no permission":
        if os.geteuid() == 0:
            pytest.skip("root can write anywhere")
        (tmp_path / "locked").mkdir()
        (tmp_path / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
        out = tmp_path / "locked" / "out"
    else:
        (tmp_path / "file").write_text("")
        out = tmp_path / "file" / "out"
    for arguments in (
        ["train", world / "features", "--out", out, *TRAIN],
        ["transform", run, world / "features", "--out", out, "--quiet"],
        ["inspect", world / "features", "--out", out, "--quiet"],
    ):
        line = refused(capsys, *arguments)
        assert "out" in line
        assert "cannot be written" in line


def test_an_existing_run_is_rejected(run: Path, world: Path, capsys: object) -> None:
    line = refused(capsys, "train", world / "features", "--out", run, *TRAIN)
    assert "--resume" in line
    assert "--overwrite" in line


def test_features_with_another_number_of_channels_are_rejected(run: Path, tmp_path: Path, capsys: object) -> None:
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "a.npy", np.zeros((30, 20), np.float32))
    assert "have 20 channels, the module was trained on 16" in refused(
        capsys, "transform", run, tmp_path / "wide", "--out", tmp_path / "out", "--quiet"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "fly"),
        (["train", "x"], "--out is missing"),
        (["train", "--out", "y"], "FEATURES is missing"),
        (["train", "x", "--out", "y", "--recipe", "magic"], "magic"),
        (["train", "x", "--out", "y", "--stepp", "3"], "--stepp"),
        (["train", "x", "--out", "y", "--epochs", "many"], "many"),
        (["train", "x", "--out", "y", "--epochs", "0"], "epochs=0"),
        (["probe", "x", "--annotations", "nowhere.json"], "nowhere.json"),
        (["export", "onnx", "nowhere", "--out", "f"], "nowhere"),
    ],
)
def test_a_bad_argument_gives_a_one_line_error(arguments: list[str], message: str, capsys: object) -> None:
    assert message in refused(capsys, *arguments)


# --- protection of existing data, and resuming ----------------------------------------------------------------------


@pytest.mark.parametrize("content", ["{}", '{"model_type": "bert"}'])
def test_a_folder_with_a_foreign_config_is_not_overwritten(
    content: str, world: Path, tmp_path: Path, capsys: object
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(content)
    line = refused(capsys, "train", world / "features", "--out", tmp_path / "model", *TRAIN, "--overwrite")
    assert "is not a run of sola" in line
    assert (tmp_path / "model" / "config.json").read_text() == content


def test_a_subset_without_annotations_is_rejected(world: Path, tmp_path: Path, capsys: object) -> None:
    line = refused(capsys, "train", world / "features", "--out", tmp_path / "run", *TRAIN, "--train-subset", "training")
    assert "--annotations" in line


def test_a_finished_run_is_not_resumed_with_other_features(
    run: Path, world: Path, tmp_path: Path, capsys: object
) -> None:
    other = shutil.copytree(world / "features", tmp_path / "other")
    assert "started with requested features" in refused(capsys, "train", other, "--out", run, *TRAIN, "--resume")


def test_a_resumed_transform_updates_changed_files(
    world: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupt the command after three videos, and change one of these files before resuming."""
    features = shutil.copytree(world / "features", tmp_path / "features")
    written, write_like = [], FeatureSet.write_like

    def interrupt(features: FeatureSet, video: str, array: np.ndarray, path: Path) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        write_like(features, video, array, path)
        written.append(video)

    monkeypatch.setattr(FeatureSet, "write_like", interrupt)
    assert sola("transform", run, features, "--out", tmp_path / "out", "--quiet") == 130
    monkeypatch.setattr(FeatureSet, "write_like", write_like)
    np.save(features / f"{written[0]}.npy", np.zeros((33, 16), np.float16))
    assert sola("transform", run, features, "--out", tmp_path / "out", "--quiet") == 0
    assert np.load(tmp_path / "out" / f"{written[0]}.npy").shape == (33, 16)


def test_an_untrained_adapter_keeps_float64_exactly(tmp_path: Path) -> None:
    from sola.softlanding.network import SoLa
    from sola.softlanding.trained import TrainedModule

    (tmp_path / "features").mkdir()
    values = np.random.default_rng(0).normal(size=(20, 16))
    np.save(tmp_path / "features" / "a.npy", values)
    TrainedModule(SoLa(16, hidden=8)).save(tmp_path / "untrained")
    assert sola("transform", tmp_path / "untrained", tmp_path / "features", "--out", tmp_path / "out", "--quiet") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a.npy"), values)


def test_auto_and_inspect_skip_bad_files(world: Path, tmp_path: Path) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    _nan(features)
    auto = ["--recipe", "auto", "--epochs", "1", "--batches", "2", "--hidden", "16", "--skip-bad", "--quiet"]
    assert sola("train", features, "--out", tmp_path / "run", *auto) == 0
    assert sola("inspect", features, "--out", tmp_path / "look", "--skip-bad", "--quiet") == 0


def test_inspect_reports_how_often_the_assumption_holds(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Use the published step for features, and the largest step of a multi-scale module."""
    assert sola("inspect", world / "features", "--out", tmp_path / "look") == 0
    summary = (
        r"raw: \d+% of the variance .*\(chance 50%\): \d+% of 8 snippets, \d+% of 15 snippets, .*% of 57 snippets\n"
    )
    assert re.search(summary, capsys.readouterr().err)
    record = json.loads((tmp_path / "look" / "inspection.json").read_text())
    assert (sorted(record), record["step"]) == (["data", "step", "views"], 8)
    options = ["--recipe", "auto", "--largest-step", "6", "--batches", "1", "--epochs", "1", "--hidden", "4", "--quiet"]
    assert sola("train", world / "features", "--out", tmp_path / "run", *options) == 0
    inspect = ["--run", tmp_path / "run", "--out", tmp_path / "after", "--quiet"]
    assert sola("inspect", world / "features", *inspect) == 0
    assert json.loads((tmp_path / "after" / "inspection.json").read_text())["step"] == 4


def test_written_files_follow_the_umask(run: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for path in (run / "module.safetensors", run / "config.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
