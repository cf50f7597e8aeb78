"""The commands and scripts of the guides run as written, in a folder with the files that they name."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import experiment_folders
from support.annotation_samples import EPIC
from support.calling import sola
from support.documents import run_script, shell_lines
from support.places import DOCS

GUIDES = DOCS / "guides"
SHORT = {"train-detector": ["--epochs", "1", "--length", "24", "--max-duration", "24"]}
"""Flags for a short training. Its accuracy is not tested here."""


def prepare_annotations() -> None:
    assert sola("convert", "annotations.json", "--to", "boris", "--fps", "20", "--out", "project.boris") == 0
    Path("annotations.json").unlink()
    shutil.rmtree("detector")


def prepare_metrics() -> None:
    for name in ("predictions.json", "proposals.json"):
        shutil.copy("detections.json", name)
    data = json.loads(Path("annotations.json").read_text())
    shutil.copy("annotations.json", "gtea.json")
    for video in data["database"].values():
        video["subset"] = video["subset"].replace("validation", "test")
    for name in ("thumos14.json", "charades.json"):
        Path(name).write_text(json.dumps(data))
    with Path("detections.txt").open("w") as file:
        for video, found in json.loads(Path("detections.json").read_text())["results"].items():
            file.writelines(f"{video} {x['segment'][0]} {x['segment'][1]} {x['label']} {x['score']}\n" for x in found)
    Path("EPIC_100_validation.csv").write_text(EPIC)
    found = [{"segment": [0.2, 3.3], "verb": 3, "noun": 3, "score": 0.9}]
    Path("actions.json").write_text(json.dumps({"results": {"P01_01": found}}))


def prepare_detectors() -> None:
    shutil.rmtree("detector")
    Path("detections.json").unlink()
    shutil.rmtree("features")
    shutil.copytree("softened", "features")


def prepare_export() -> None:
    pytest.importorskip("onnx")


def prepare_report() -> None:
    for name in ("raw.json", "sola.json"):
        shutil.copy("detections.json", name)
    experiment_folders.experiment(Path("out"), experiment_folders.world(Path("world")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "prepare", [prepare_annotations, prepare_detectors, prepare_export, prepare_metrics, prepare_report]
)
def test_the_commands_of_a_guide_run(
    prepare: Callable[[], None], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    prepare()
    page = GUIDES / f"{prepare.__name__.removeprefix('prepare_')}.md"
    lines = [line for line in shell_lines(page) if line.startswith("sola ")]
    assert lines
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        assert sola(*words, *SHORT.get(words[0], [])) == 0, line


@pytest.mark.slow
def test_the_script_of_the_detectors_guide_runs(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "detector")
    monkeypatch.chdir(tmp_path)
    shortened = 'recipe="gtea", epochs=1, length=24, max_duration=24'
    run_script(GUIDES / "detectors.md", replacing={'recipe="gtea"': shortened})
    assert 0 <= float(capsys.readouterr().out) <= 1
