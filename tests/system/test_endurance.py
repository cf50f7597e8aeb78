"""Long work under what machines do: killed at random moments, out of disk, out of permission.

SOLA_LONG=1 pytest tests/system/test_endurance.py        # kills every command, not only training
SOLA_KILLS=10 ...                                        # ten kills a command instead of one
SOLA_KILLS_SEED=1 ...                                    # at other moments
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
"""Does not fit in half a megabyte."""
MANY = replace(FULL, training_videos=1500)
"""So many that their transformation can be killed."""
MODULE = ("--hidden", "32", "--epochs", "60", "--windows-per-video", "16", "--step", "2")
HEAD = ("--model", "gtad", "--length", "40", "--bins", "8", "--context-bins", "2", "--epochs", "8", "--batch-size", "4")
SLOW = f"{QUADRANTS}:slow"
LONG = ("transform", "extract", "train-detector", "detect", "reproduce")
"""Commands that have tests of their own where they are interrupted; here they are killed with SOLA_LONG alone."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, clips, a module and a detector."""
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
    head = (*HEAD, "--epochs", "1", "--decay-every", "1")
    assert sola("train-detector", features, *annotations, *head, "--out", str(folder / "head"), "--quiet") == 0
    return folder


def commands(world: Path, out: Path) -> dict[str, list[str]]:
    """What is killed, by name; called again, each goes on or begins again by itself."""
    features = str(world / "data" / "features")
    annotations = ["--annotations", str(world / "data" / "annotations.json")]
    experiment = ["reproduce", "table6", features, *annotations, "--quick", "--seeds", "1", "--no-controls"]
    found = {
        "train": ["train", features, *MODULE, "--resume"],
        "transform": ["transform", str(world / "wide"), str(world / "many" / "features")],
        "extract": ["extract", str(world / "clips"), "--encoder", SLOW, "--batch-size", "1"],
        "train-detector": ["train-detector", features, *annotations, *HEAD, "--resume"],
        "detect": ["detect", str(world / "head"), features, "--overwrite"],
        "reproduce": experiment,
    }
    places = {"detect": out / "detections.json"}
    return {name: [*found[name], "--out", str(places.get(name, out / "out")), "--quiet"] for name in found}


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "sola", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def kill(process: "subprocess.Popen[bytes]") -> None:
    """With all that it has started, some of which ends by itself when it is gone."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def visible(folder: Path) -> Iterator[Path]:
    """Files that are there for others: nothing in their path is hidden."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def must_be_whole(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".jsonl":
        assert all(json.loads(line) for line in path.read_text().splitlines())
    elif path.suffix == ".npy":
        assert np.isfinite(np.load(path)).all()
    elif path.suffix == ".safetensors":
        load_file(path)


def essence(folder: Path) -> dict[str, Any]:
    """What of every visible file does not say when and where it was made."""
    found: dict[str, Any] = {}
    for path in visible(folder):
        name = str(path.relative_to(folder))
        if path.suffix == ".jsonl" or path.name in ("config.json", "data.json") or path.parent.name == "checkpoint":
            continue  # times, paths, and how often a run was gone on with
        found[name] = path.read_bytes()
        if path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
    return found


def timeless(value: Any) -> Any:
    """JSON without paths."""
    if isinstance(value, dict):
        return {key: timeless(one) for key, one in value.items() if key not in ("run", "compared", "source")}
    return [timeless(one) for one in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_killed_at_random_moments_it_ends_where_an_undisturbed_run_does(world: Path, tmp_path: Path, name: str) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    began = time.monotonic()
    process = start(commands(world, undisturbed)[name])
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint
    lasts = time.monotonic() - began

    moments, kills = random.Random(f"{SEED} {name}"), 0
    for _ in range(20 * KILLS):
        if kills == KILLS:
            break
        began = time.monotonic()
        process = start(commands(world, killed)[name])
        try:
            # the first second or two is spent on imports
            _, complaint = process.communicate(timeout=moments.uniform(0.3, 1) * lasts)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            for path in visible(killed):
                must_be_whole(path)
            continue
        assert process.returncode == 0, complaint
        lasts = min(lasts, time.monotonic() - began)  # the machine may have been busier before
        if kills < KILLS:  # it was done before: from the beginning
            shutil.rmtree(killed)
    assert kills == KILLS
    process = start(commands(world, killed)[name])
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint
    assert essence(killed) == essence(undisturbed)
    assert not list(killed.rglob("*.tmp"))


def checkpointed(options: list[str], run: Path) -> "subprocess.Popen[bytes]":
    """A training that has come as far as its first checkpoint."""
    process = start(options)
    until = time.monotonic() + 60
    while not (run / "checkpoint" / "checkpoint.safetensors").is_file():
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


class TestDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """Half a megabyte."""
        place = tmp_path / "disk"
        place.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True, text=True
        )
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here ({mounted.stderr.strip()})")
        yield place
        subprocess.run(["umount", "-l", str(place)], check=True)

    @pytest.mark.slow
    def test_a_full_disk_is_told_and_the_checkpoint_before_it_stays(
        self, world: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = small_disk / "run"
        options = ["train", str(world / "data" / "features"), "--out", str(run), *MODULE, "--resume", "--quiet"]
        kill(checkpointed(options, run))
        checkpoint = run / "checkpoint" / "checkpoint.safetensors"
        before = checkpoint.read_bytes()
        # as when others fill it while the run stands still
        room = os.statvfs(small_disk)
        (small_disk / "others").write_bytes(bytes(room.f_bavail * room.f_frsize))
        assert sola(*options) == 2
        told = capsys.readouterr().err.strip()
        assert len(told.splitlines()) == 1
        assert "No space left on device" in told
        assert checkpoint.read_bytes() == before
        assert not (run / "module.safetensors").exists()
        (small_disk / "others").unlink()
        assert sola(*options) == 0

    @pytest.mark.slow
    def test_features_that_do_not_fit_leave_nothing_half_written(
        self, world: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = small_disk / "soft"
        assert sola("transform", str(world / "wide"), str(world / "many" / "features"), "--out", str(out)) == 2
        assert "No space left on device" in capsys.readouterr().err
        assert all(len(np.load(path)) == 100 for path in out.glob("*.npy"))
        assert {path.name for path in out.iterdir() if path.suffix != ".npy"} <= {MARK, JOURNAL}
        assert "is not finished" in refused(capsys, "inspect", str(out), "--out", str(world / "inspection"))

    @pytest.mark.slow
    def test_a_disk_that_becomes_read_only_is_an_error_and_the_checkpoint_stays(
        self, world: Path, small_disk: Path
    ) -> None:
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
        process = checkpointed(options, run)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 2
        assert (
            complaint.decode()
            .strip()
            .splitlines()[-1]
            .endswith("cannot be written (Read-only file system); choose a place with room and write permission")
        )
        must_be_whole(run / "checkpoint" / "checkpoint.safetensors")
        assert not (run / "module.safetensors").exists()
