"""Long commands survive interruptions: killed at random times, a full disk, a read-only disk.

SOLA_LONG=1 pytest tests/system/test_endurance.py        # kill every command, not only training
SOLA_KILLS=10 ...                                        # ten kills per command instead of one
SOLA_KILLS_SEED=1 ...                                    # at other times
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file
from support.calling import refused, sola
from support.places import QUADRANTS
from support.rendering import render
from support.synthetic import SyntheticWorld, write

from sola.data.journal import JOURNAL, MARK

KILLS = int(os.environ.get("SOLA_KILLS", "1"))
SEED = int(os.environ.get("SOLA_KILLS_SEED", "0"))
WORLD = SyntheticWorld(training_videos=12, validation_videos=6, length=120.0, length_spread=0.0, channels=16)
FULL = SyntheticWorld(training_videos=100, validation_videos=1, length=100.0, length_spread=0.0, channels=32)
"""A data set that does not fit in half a megabyte."""
MANY = replace(FULL, training_videos=1500)
"""Enough videos that `sola transform` can be killed."""
MODULE = ("--hidden", "32", "--epochs", "60", "--windows-per-video", "16", "--step", "2")
DETECTOR = (
    "--model", "gtad", "--length", "40", "--bins", "8", "--context-bins", "2", "--epochs", "8", "--batch-size", "4",
)  # fmt: skip
SLOW = f"{QUADRANTS}:slow"
LONG = ("transform", "extract", "train-detector", "detect", "reproduce")
"""Commands whose interruption has other tests; here they are killed only with SOLA_LONG."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with features, annotations, clips, a module and a detector."""
    folder = tmp_path_factory.mktemp("world")
    write(WORLD, folder / "data")
    write(MANY if "SOLA_LONG" in os.environ else FULL, folder / "many")
    (folder / "clips").mkdir()
    for number in range(6 if "SOLA_LONG" in os.environ else 0):
        render(folder / "clips" / f"{number}.mp4", count=40 + number)
    features = str(folder / "data" / "features")
    annotations = ("--annotations", str(folder / "data" / "annotations.json"))
    assert sola("train", features, "--out", str(folder / "module"), *MODULE, "--epochs", "1", "--quiet") == 0
    many = str(folder / "many" / "features")
    assert sola("train", many, "--out", str(folder / "wide"), *MODULE, "--epochs", "1", "--quiet") == 0
    detector = (*DETECTOR, "--epochs", "1", "--decay-every", "1")
    assert sola("train-detector", features, *annotations, *detector, "--out", str(folder / "detector"), "--quiet") == 0
    return folder


def commands(world: Path, out: Path) -> dict[str, list[str]]:
    """Return the commands to kill, by name. Each resumes or starts over when it is called again."""
    features = str(world / "data" / "features")
    annotations = ["--annotations", str(world / "data" / "annotations.json")]
    experiment = ["reproduce", "table6", features, *annotations, "--quick", "--seeds", "1", "--controls", "none"]
    arguments = {
        "train": ["train", features, *MODULE, "--resume"],
        "transform": ["transform", str(world / "wide"), str(world / "many" / "features")],
        "extract": ["extract", str(world / "clips"), "--encoder", SLOW, "--batch-size", "1"],
        "train-detector": ["train-detector", features, *annotations, *DETECTOR, "--resume"],
        "detect": ["detect", str(world / "detector"), features, "--overwrite"],
        "reproduce": experiment,
    }
    outputs = {"detect": out / "detections.json"}
    return {name: [*arguments[name], "--out", str(outputs.get(name, out / "out")), "--quiet"] for name in arguments}


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "sola", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and wait for its children, which end on their own."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def visible_files(folder: Path) -> Iterator[Path]:
    """Yield files without hidden parts in their path."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def assert_complete(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".jsonl":
        assert all(json.loads(line) for line in path.read_text().splitlines())
    elif path.suffix == ".npy":
        assert np.isfinite(np.load(path)).all()
    elif path.suffix == ".safetensors":
        load_file(path)


def comparable_contents(folder: Path) -> dict[str, Any]:
    """Return the contents of visible files by name, without times and paths."""
    contents: dict[str, Any] = {}
    for path in visible_files(folder):
        name = str(path.relative_to(folder))
        if path.suffix == ".jsonl" or path.name in ("config.json", "data.json") or path.parent.name == "checkpoint":
            continue  # these contain times, paths, and the number of resumptions
        contents[name] = path.read_bytes()
        if path.suffix == ".json":
            contents[name] = without_paths(json.loads(path.read_text()))
    return contents


def without_paths(value: Any) -> Any:
    """Return a JSON value without entries that contain paths."""
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items() if key not in ("run", "compared", "source")}
    return [without_paths(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_a_command_killed_at_random_times_gives_the_same_result(world: Path, tmp_path: Path, name: str) -> None:
    uninterrupted, killed = tmp_path / "uninterrupted", tmp_path / "killed"
    started_at = time.monotonic()
    process = start(commands(world, uninterrupted)[name])
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    duration = time.monotonic() - started_at

    rng, kills = random.Random(f"{SEED} {name}"), 0
    for _ in range(20 * KILLS):
        if kills == KILLS:
            break
        started_at = time.monotonic()
        process = start(commands(world, killed)[name])
        try:
            # the first seconds are spent on imports
            _, stderr = process.communicate(timeout=rng.uniform(0.3, 1) * duration)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            for path in visible_files(killed):
                assert_complete(path)
            continue
        assert process.returncode == 0, stderr
        duration = min(duration, time.monotonic() - started_at)  # the machine may have been busier in earlier runs
        if kills < KILLS:  # the command finished before it was killed: start over
            shutil.rmtree(killed)
    assert kills == KILLS
    process = start(commands(world, killed)[name])
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert comparable_contents(killed) == comparable_contents(uninterrupted)
    assert not list(killed.rglob("*.tmp"))


def start_until_checkpoint(options: list[str], run: Path) -> "subprocess.Popen[bytes]":
    """Start a training and return when it has written its first checkpoint."""
    process = start(options)
    deadline = time.monotonic() + 60
    while not (run / "checkpoint" / "checkpoint.safetensors").is_file():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


class TestDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """Folder on a disk of half a megabyte."""
        folder = tmp_path / "disk"
        folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here ({mounted.stderr.strip()})")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)

    @pytest.mark.slow
    def test_a_full_disk_gives_an_error_and_keeps_the_checkpoint(
        self, world: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = small_disk / "run"
        options = ["train", str(world / "data" / "features"), "--out", str(run), *MODULE, "--resume", "--quiet"]
        kill(start_until_checkpoint(options, run))
        checkpoint = run / "checkpoint" / "checkpoint.safetensors"
        before = checkpoint.read_bytes()
        # simulate another process filling the disk while the run is stopped
        disk = os.statvfs(small_disk)
        (small_disk / "others").write_bytes(bytes(disk.f_bavail * disk.f_frsize))
        assert sola(*options) == 2
        error = capsys.readouterr().err.strip()
        assert len(error.splitlines()) == 1
        assert "No space left on device" in error
        assert checkpoint.read_bytes() == before
        assert not (run / "module.safetensors").exists()
        (small_disk / "others").unlink()
        assert sola(*options) == 0

    @pytest.mark.slow
    def test_features_that_do_not_fit_leave_no_partial_files(
        self, world: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = small_disk / "soft"
        assert sola("transform", str(world / "wide"), str(world / "many" / "features"), "--out", str(out)) == 2
        assert "No space left on device" in capsys.readouterr().err
        assert all(len(np.load(path)) == 100 for path in out.glob("*.npy"))
        assert {path.name for path in out.iterdir() if path.suffix != ".npy"} <= {MARK, JOURNAL}
        assert "unfinished; run the same command again" in refused(
            capsys, "inspect", str(out), "--out", str(world / "inspection")
        )

    @pytest.mark.slow
    def test_a_read_only_disk_gives_an_error_and_keeps_the_checkpoint(self, world: Path, small_disk: Path) -> None:
        run = small_disk / "run"
        options = [
            "train",
            str(world / "data" / "features"),
            "--out",
            str(run),
            *MODULE,
            "--epochs",
            "2000",
            "--resume",
        ]
        process = start_until_checkpoint(options, run)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 2
        assert (
            stderr.decode()
            .strip()
            .splitlines()[-1]
            .endswith("cannot be written (Read-only file system); choose a place with room and write permission")
        )
        assert_complete(run / "checkpoint" / "checkpoint.safetensors")
        assert not (run / "module.safetensors").exists()
