"""Run the commands of docs/tutorials/own-videos.md unchanged, on generated clips."""

import json
import shlex
from pathlib import Path

import pytest
from support.calling import sola
from support.clips import SECONDS, SEGMENTS, render
from support.documents import blocks, shell_lines
from support.places import DOCS

from sola.data.detections import read_detections
from sola.data.features import FeatureSet

PAGE = DOCS / "tutorials" / "own-videos.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with videos/, new-videos/ and annotations.json."""
    root = tmp_path_factory.mktemp("own")
    database = {}
    for number in range(6):
        subset = "training" if number < 4 else "validation"
        path = root / ("videos" if number < 5 else "new-videos") / f"clip{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        render(path, number)
        if number < 5:
            annotations = [{"segment": list(segment), "label": name} for name, segment in SEGMENTS.items()]
            database[path.stem] = {"subset": subset, "duration": SECONDS, "annotations": annotations}
    (root / "annotations.json").write_text(json.dumps({"database": database}))
    return root


def commands() -> list[str]:
    return [line for line in shell_lines(PAGE) if line.startswith("sola ")]


def quick(command: list[str]) -> list[str]:
    """Reduce a command to few epochs or seeds. The accuracy is not tested here."""
    options = {"train": ["--epochs", "1"], "train-detector": ["--epochs", "3"], "probe": ["--seeds", "1"]}
    return command + next((more for name, more in options.items() if " ".join(command).startswith(name + " ")), [])


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_the_page_runs_from_videos_to_detections(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names = [shlex.split(command)[1] for command in commands()]
    expected = ("extract", "train", "inspect", "transform", "probe", "train-detector", "detect", "evaluate", "export")
    assert set(expected) <= set(names)
    (code,) = blocks(PAGE, "python")
    Path("mean_color.py").write_text(code)
    for command in commands():
        assert sola(*quick(shlex.split(command, comments=True)[1:])) == 0, command
    assert len(FeatureSet.open("colors").videos) == 5
    detections = read_detections(folder / "new.json")
    assert detections.videos == ("clip5",)
    assert (folder / "new" / "clip5.png").is_file()
