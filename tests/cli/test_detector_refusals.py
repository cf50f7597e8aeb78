"""`sola train-detector` and `sola detect` refuse bad input with one line, and leave no files behind."""

import json
import shutil
from pathlib import Path

import pytest
from support.calling import refused, sola
from support.detector_commands import SMALL, detect_command, train

from sola.detectors.trained import WEIGHTS
from sola.softlanding.network import SoLa
from sola.softlanding.trained import TrainedModule


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--model", "actionnet"], "--model actionnet: expected one of actionformer, bmn, gtad"),
        (["--recipe", "magic"], "--recipe magic: expected one of anet, hacs"),
        (["--train-subset", "dev"], "unknown subset 'dev'"),
        (["--validation-subset", "dev"], "unknown subset 'dev'"),
        (["--annotations", "nowhere.json"], "nowhere.json: no such file"),
        (["--epochs", "0"], "epochs=0"),
        (["--epochs", "many"], "many"),
        (["--epoch", "3"], "--epoch"),
        (["--max-duration", "9"], "max_duration=9"),
        (["--window-stride", "17"], "window_stride=17"),
        (["--label-key", "verb"], "--label-key"),
        (["--resume", "--overwrite"], "pass one of them"),
    ],
)
def test_a_bad_argument_of_train_detector_gives_a_one_line_error(
    changed: list[str], message: str, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--annotations", annotations, "--out", tmp_path / "run", *SMALL, *changed]
    assert message in refused(capsys, "train-detector", world / "features", *arguments)
    assert not (tmp_path / "run").exists()


def test_missing_features_are_rejected(
    annotations: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--annotations", annotations, "--out", tmp_path / "run"]
    assert "FEATURES" in refused(capsys, "train-detector", *arguments)
    assert "FEATURES" in refused(capsys, "detect", run, "--out", tmp_path / "d.json")


@pytest.mark.parametrize("missing", ["--annotations", "--out", "--model"])
def test_a_required_option_is_named(missing: str, world: Path, tmp_path: Path, capsys: object) -> None:
    options = {"--annotations": world / "annotations.json", "--out": tmp_path / "run", "--model": "bmn"}
    arguments = [part for flag, value in options.items() if flag != missing for part in (flag, value)]
    assert missing in refused(capsys, "train-detector", world / "features", *arguments)


@pytest.mark.parametrize("arguments", [["fly"], ["train-detector", "--model"], ["detect"]])
def test_an_incomplete_command_gives_a_one_line_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments)


def test_a_subset_without_instances_is_rejected(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(annotations.read_text())
    for video_record in record["database"].values():
        if video_record["subset"] == "validation":
            video_record["annotations"] = []
    (tmp_path / "a.json").write_text(json.dumps(record))
    arguments = [
        "--annotations",
        tmp_path / "a.json",
        "--out",
        tmp_path / "run",
        *SMALL,
        "--train-subset",
        "validation",
    ]
    assert "nothing to train on" in refused(capsys, "train-detector", world / "features", *arguments)


def test_a_subset_without_features_is_rejected(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    for path in features.glob("training_*.npy"):
        path.unlink()
    arguments = ["--annotations", annotations, "--out", tmp_path / "run", *SMALL]
    assert "subset 'training': none of its 3 videos has" in refused(capsys, "train-detector", features, *arguments)


def test_a_bad_file_is_named(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    path = features / "training_0000.npy"
    path.write_bytes(path.read_bytes()[:-100])
    train_command = ["train-detector", features, "--annotations", annotations, "--out", tmp_path / "run", *SMALL]
    for arguments in (train_command, detect_command(run, features, tmp_path)):
        line = refused(capsys, *arguments)
        assert "training_0000.npy" in line
        assert "--skip-bad" in line
    assert [path.name for path in tmp_path.iterdir()] == ["features"], "unexpected files were left behind"


def test_an_existing_run_is_rejected(
    run: Path, world: Path, annotations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "train-detector", world / "features", "--annotations", annotations, "--out", run, *SMALL)
    assert "exists already; continue with --resume, or start again with --overwrite" in line


def test_a_foreign_folder_is_not_overwritten(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("ten years")
    arguments = ["--annotations", annotations, "--out", tmp_path / "home", *SMALL, "--overwrite"]
    assert "is not a run of sola" in refused(capsys, "train-detector", world / "features", *arguments)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("which", ["--out", "--proposals"])
def test_existing_detections_are_only_overwritten_with_overwrite(
    which: str, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    existing = tmp_path / "existing.json"
    existing.write_text("mine")
    flags = ["--out", existing] if which == "--out" else ["--out", tmp_path / "d.json", "--proposals", existing]
    arguments = ["detect", run, world / "features", *flags, "--quiet"]
    assert "existing.json: exists already" in refused(capsys, *arguments)
    assert existing.read_text() == "mine"
    assert sola(*arguments, "--overwrite") == 0
    assert "results" in json.loads(existing.read_text())


@pytest.mark.parametrize("kind", ["missing", "empty", "module", "unfinished"])
def test_folders_without_a_finished_run_are_rejected(
    kind: str, run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    if kind == "unfinished":
        shutil.copytree(run, folder)
        (folder / WEIGHTS).unlink()
    elif kind == "module":
        TrainedModule(SoLa(8, hidden=4)).save(folder)
    elif kind == "empty":
        folder.mkdir()
    line = refused(capsys, *detect_command(folder, world / "features", tmp_path))
    assert "folder: " in line
    assert "expected a finished run of `sola train-detector`" in line


def test_detecting_on_a_subset_needs_annotations(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *detect_command(run, world / "features", tmp_path), "--test-subset", "validation")
    assert "--annotations" in line


def test_detecting_on_an_unknown_subset_is_rejected(
    run: Path, world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--annotations", annotations, "--test-subset", "dev"]
    assert "unknown subset 'dev'" in refused(capsys, *detect_command(run, world / "features", tmp_path), *flags)


def test_detecting_without_a_classifier_asks_for_one(
    world: Path, annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(world / "features", annotations, tmp_path / "run", "--classifier-epochs", "0")
    assert "--classifier" in refused(capsys, *detect_command(run, world / "features", tmp_path))


def test_a_classifier_without_scores_of_a_video_is_rejected(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"results": {"training_0000": [1, 0, 0]}}))
    line = refused(capsys, *detect_command(run, world / "features", tmp_path), "--classifier", tmp_path / "s.json")
    assert "s.json: no video 'training_0001'" in line


def test_features_without_timing_are_rejected(
    run: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = shutil.copytree(world / "features", tmp_path / "features")
    (features / "features.json").unlink()
    line = refused(capsys, *detect_command(run, features, tmp_path))
    assert "snippet times are unknown" in line
    assert sola(*detect_command(run, features, tmp_path), "--fps", "4") == 0
