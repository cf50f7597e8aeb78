"""Training in several processes gives the same result as in one: unit tests, and commands under torchrun."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from support.calling import sola
from support.documents import shell_lines
from support.launching import train_in_processes
from support.places import DOCS
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.training.distributed import ALONE, Processes, joined

WORLD = SyntheticWorld(training_videos=9, validation_videos=3, length=120.0, length_spread=0.2, channels=16)


@given(st.integers(1, 40), st.integers(1, 8))
def test_shares_partition_the_windows_and_none_is_empty(total: int, count: int) -> None:
    shares = [np.arange(total)[Processes(rank, count).share(total)] for rank in range(count)]
    assert all(len(share) for share in shares)
    if total >= count:
        assert np.concatenate(shares).tolist() == list(range(total))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_single_process_changes_nothing() -> None:
    prediction = (torch.ones(3, 2), torch.zeros(3))
    assert ALONE.gather(prediction, 3) is prediction
    assert ALONE.share(5) == slice(0, 5)
    assert ALONE.agree_to_stop(True, 3, torch.device("cpu"))


def test_invalid_launcher_environment_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SolaError, match="RANK=2, WORLD_SIZE=2"), joined(torch.device("cpu")):
        pass


def command(processes: int, *arguments: str) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, *launcher, "-m", "sola", *arguments]


def call(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    completed = subprocess.run(
        command(processes, *arguments), capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert completed.returncode == 0, completed.stderr
    return completed


def losses(run: Path, name: str = "loss") -> list[float]:
    return [json.loads(line)[name] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "data"
    write(WORLD, folder)
    return folder


MODULE = ("--hidden", "32", "--epochs", "4", "--windows-per-video", "4", "--step", "2", "--precision", "fp32")
DETECTORS = {
    # at the published learning rates, rounding in the first step changes the fourth digit by the third epoch
    "bmn": ("--length", "24", "--learning-rate", "1e-4"),
    "gtad": ("--length", "24", "--bins", "8", "--context-bins", "2", "--learning-rate", "1e-4"),
    "actionformer": ("--width", "16", "--levels", "3", "--length", "64", "--warmup-epochs", "1"),
}


@pytest.mark.slow
class TestTorchrun:
    def test_a_module_matches_one_process_and_output_is_written_once(self, world: Path, tmp_path: Path) -> None:
        # 48 windows in batches of 47: shares of 16, 16 and 15, and a last batch of one window for three processes
        options = (*MODULE, "--batch-size", "47", "--dropout", "0.5", "--loss", "softened_outside")
        features = (str(world / "features"), "--annotations", str(world / "annotations.json"))
        assert sola("train", *features, "--out", tmp_path / "one", *options, "--quiet") == 0
        many = tmp_path / "many"
        stderr = call(3, "train", *features, "--out", str(many), *options, "--tensorboard").stderr
        assert stderr.count("next: sola transform") == 1
        assert stderr.count("videos of") == 1
        assert len(list((many / "tensorboard").iterdir())) == 1
        assert json.loads((many / "config.json").read_text())["environment"]["processes"] == 3
        assert losses(many) == pytest.approx(losses(tmp_path / "one"), abs=1e-6)
        weights = load_file(many / "module.safetensors")
        for name, value in load_file(tmp_path / "one" / "module.safetensors").items():
            torch.testing.assert_close(weights[name], value, atol=1e-5, rtol=1e-3)

    def test_the_commands_of_the_guide_run(self, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One machine with two processes, and two machines with one process each."""
        machine, machines = (
            shlex.split(line)[1:] for line in shell_lines(DOCS / "guides" / "scale.md") if line.startswith("torchrun ")
        )
        machine[machine.index("--nproc-per-node") + 1] = "2"
        machines[machines.index("--nproc-per-node") + 1] = "1"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            machines[machines.index("--rdzv-endpoint") + 1] = f"127.0.0.1:{free.getsockname()[1]}"
        machine += [*MODULE, "--epochs", "1", "--quiet", "--out", str(tmp_path / "module")]
        machines += [*DETECTORS["gtad"], "--epochs", "1", "--quiet", "--out", str(tmp_path / "detector")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        launcher = [sys.executable, "-m", "torch.distributed.run"]
        started = [
            subprocess.Popen([*launcher, *words], cwd=world, env=environment, stderr=subprocess.DEVNULL)
            for words in (machine, machines, machines)
        ]
        assert [process.wait(120) for process in started] == [0, 0, 0]
        for run in ("module", "detector"):
            assert json.loads((tmp_path / run / "config.json").read_text())["environment"]["processes"] == 2

    @pytest.mark.parametrize("detector", sorted(DETECTORS))
    def test_a_detector_matches_one_process(self, world: Path, tmp_path: Path, detector: str) -> None:
        inputs = (str(world / "features"), "--annotations", str(world / "annotations.json"), "--model", detector)
        options = (*DETECTORS[detector], "--epochs", "3", "--batch-size", "4", "--precision", "fp32", "--quiet")
        options += ("--validation-subset", "validation")
        assert sola("train-detector", *inputs, "--out", tmp_path / "one", *options) == 0
        train_in_processes(2, "train-detector", *inputs, "--out", tmp_path / "many", *options)
        for figure in ("loss", "validation_loss"):
            actual, expected = (losses(tmp_path / name, figure) for name in ("many", "one"))
            assert actual == pytest.approx(expected, abs=1e-4)

    @pytest.mark.long
    def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_run(self, world: Path, tmp_path: Path) -> None:
        options = (str(world / "features"), *MODULE, "--epochs", "40", "--windows-per-video", "16")
        call(2, "train", *options, "--out", str(tmp_path / "whole"))
        interrupted = tmp_path / "interrupted"
        process = subprocess.Popen(
            command(2, "train", *options, "--out", str(interrupted), "--resume"),
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        deadline = time.monotonic() + 300
        while not ((interrupted / "metrics.jsonl").is_file() and len(losses(interrupted)) >= 3):
            assert process.poll() is None, "training ended before it was stopped"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.wait()
        assert (interrupted / "checkpoint" / "checkpoint.safetensors").is_file()
        assert not (interrupted / "module.safetensors").exists(), "training finished before it was stopped"
        call(2, "train", *options, "--out", str(interrupted), "--resume")
        expected, actual = (load_file(tmp_path / name / "module.safetensors") for name in ("whole", "interrupted"))
        for name, value in expected.items():
            torch.testing.assert_close(actual[name], value, atol=0, rtol=0)
