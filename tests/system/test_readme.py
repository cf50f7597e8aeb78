"""Run the commands and code of the README unchanged, in a folder with features and annotations."""

import re
import shlex
from pathlib import Path

import pytest
from support.documents import run_script, shell_lines
from support.places import REPOSITORY
from support.synthetic import SyntheticWorld, write

from sola.cli import main

README = REPOSITORY / "README.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    world = SyntheticWorld(training_videos=6, validation_videos=4, length=80, channels=16, action_length=10)
    write(world, tmp_path / "data", seed=0)
    monkeypatch.chdir(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_the_commands_of_the_readme_run(folder: Path) -> None:
    commands = [line for line in shell_lines(README) if line.startswith("sola ")]
    # the folder already has features; tests/system/test_own_videos.py covers extraction from videos
    commands = [command for command in commands if not command.startswith("sola extract")]
    assert len(commands) >= 4
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command, comments=True)[1:])
        assert not stop.value.code, command
    written = {path.name for path in folder.glob("softened/[!.]*")}
    assert written - {"journal.jsonl"} == {path.name for path in folder.glob("features/*")}


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_the_code_of_the_readme_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_script(README)
    printed = capsys.readouterr().out.split()
    assert {"raw", "sola"} <= set(printed)
    assert 0 <= float(printed[-1]) <= 1


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (REPOSITORY / target).exists(), target
