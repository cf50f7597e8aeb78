"""Every command that reads features and annotations prints and records the same data summary."""

import json
from pathlib import Path

import numpy as np
import pytest

from sola.core.files import read_json, write_json
from sola.data.manifest import Manifest
from tests.support.calling import refused, sola

DETECTOR = ("--model", "bmn", "--recipe", "quick", "--epochs", "1", "--classifier-epochs", "1")
LATE = "4 instances outside the video, such as 50 to 70 s in 'v0', which lasts 20 s"
MISSING = "1 annotated video without features, such as 'missing'"


def write(folder: Path, *, stride: float = 1.0) -> Path:
    """Write features of six 20 s videos and annotations of seven. Each has an instance after the end of the video."""
    rng = np.random.default_rng(0)
    (folder / "features").mkdir()
    database = {}
    for index in range(7):
        video = "missing" if index == 6 else f"v{index}"
        if index < 6:
            np.save(folder / "features" / f"{video}.npy", rng.normal(size=(40, 4)).astype(np.float32))
        segments = [[4, 10], [50, 70]]
        database[video] = {
            "subset": "validation" if index in (4, 5) else "training",
            "duration": 20,
            "annotations": [{"segment": segment, "label": "ab"[index % 2]} for segment in segments],
        }
    Manifest(fps=2.0, stride=stride).write(folder / "features")
    write_json(folder / "a.json", {"database": database})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data"))


def inputs(folder: Path, *more: object) -> tuple[object, ...]:
    return (folder / "features", "--annotations", folder / "a.json", *more)


def kinds(summary: dict) -> dict[str, int]:
    return {finding["kind"]: finding["count"] for finding in summary["findings"]}


FINDINGS = {"no_features": 1, "outside_video": 4}


def test_training_prints_the_summary_and_records_it_in_the_config(folder: Path, tmp_path: Path, capsys) -> None:
    train = ("train", *inputs(folder), "--step", 1, "--positions", 4, "--epochs", 1, "--out", tmp_path / "module")
    detector = ("train-detector", *inputs(folder), *DETECTOR, "--out", tmp_path / "detector")
    for arguments in (train, detector):
        assert sola(*arguments) == 0
        err = capsys.readouterr().err
        assert "training: 4 of 5 annotated videos with 4 of 10 instances" in err
        assert MISSING in err
        assert LATE in err
    for run in ("module", "detector"):
        data = read_json(tmp_path / run / "config.json", "a config")["data"]
        assert list(data) == ["training"]
        assert kinds(data["training"]) == FINDINGS
        assert data["training"]["findings"][1]["message"].startswith(LATE)


def test_detection_prints_the_summary(folder: Path, tmp_path: Path, capsys) -> None:
    assert sola("train-detector", *inputs(folder), *DETECTOR, "--out", tmp_path / "detector", "--quiet") == 0
    assert sola("detect", tmp_path / "detector", *inputs(folder), "--out", tmp_path / "d.json") == 0
    err = capsys.readouterr().err
    assert "validation: 2 annotated videos with 2 of 4 instances" in err
    assert "2 instances outside the video, such as 50 to 70 s in 'v4'" in err
    assert sola("evaluate", tmp_path / "d.json", "--annotations", folder / "a.json", "--json") == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert any(warning.startswith("2 instances outside the video, such as 50 to 70 s in 'v4'") for warning in warnings)


def test_probe_prints_both_subsets_and_returns_them_as_json(folder: Path, capsys) -> None:
    assert sola("probe", *inputs(folder), "--solver", "ridge", "--seeds", 1, "--json") == 0
    out, err = capsys.readouterr()
    assert "training: 4 of 5 annotated videos with 4 of 10 instances" in err
    assert "validation: 2 annotated videos with 2 of 4 instances" in err
    data = json.loads(out)["settings"]["data"]
    assert kinds(data["training"]) == FINDINGS
    assert kinds(data["validation"]) == {"outside_video": 2}


def test_inspect_and_export_print_the_summary(folder: Path, tmp_path: Path, capsys) -> None:
    assert sola("inspect", *inputs(folder), "--step", 1, "--json", "--out", tmp_path / "look") == 0
    out, err = capsys.readouterr()
    assert "6 instances outside the video" in err
    (summary,) = json.loads(out)["data"].values()
    assert kinds(summary) == {"no_features": 1, "outside_video": 6}
    assert sola("export", "opentad", *inputs(folder), "--out", tmp_path / "exported") == 0
    assert LATE in capsys.readouterr().err


COMMANDS = {
    "train": ("--out", "OUT"),
    "train-detector": (*DETECTOR, "--out", "OUT"),
    "probe": (),
    "inspect": ("--out", "OUT"),
    "export opentad": ("--out", "OUT"),
    "reproduce table1": ("--quick", "--out", "OUT"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_rejects_impossible_timing(tmp_path: Path, capsys, command: str) -> None:
    """The stride in the manifest is four times too large."""
    folder = write(tmp_path, stride=4.0)
    more = [tmp_path / "out" if value == "OUT" else value for value in COMMANDS[command]]
    line = refused(capsys, *command.split(), *inputs(folder), *more)
    assert "video 'v0': its last snippet ends at 80 s, but the video lasts 20 s" in line
    assert "stride 4 looks 4x too large" in line
    assert not (tmp_path / "out").exists()
