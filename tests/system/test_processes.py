"""Several processes train what one does: shares and gathering by themselves, and the commands under torchrun."""

import json
import os
import signal
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
from support.launching import train_in_processes
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.training.distributed import ALONE, Processes, joined

WORLD = SyntheticWorld(training_videos=9, validation_videos=3, length=120.0, length_spread=0.2, channels=16)


@given(st.integers(1, 40), st.integers(1, 8))
def test_shares_are_all_windows_once_and_nobody_is_idle(total: int, count: int) -> None:
    shares = [np.arange(total)[Processes(rank, count).share(total)] for rank in range(count)]
    assert all(len(share) for share in shares)
    if total >= count:
        assert np.concatenate(shares).tolist() == list(range(total))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_everything_is_as_it_was() -> None:
    prediction = (torch.ones(3, 2), torch.zeros(3))
    assert ALONE.gather(prediction, 3) is prediction
    assert ALONE.share(5) == slice(0, 5)
    assert ALONE.agree_to_stop(True, 3, torch.device("cpu"))


def test_what_no_launcher_sets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SolaError, match="RANK=2, WORLD_SIZE=2"), joined(torch.device("cpu")):
        pass


def command(processes: int, *arguments: str) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, *launcher, "-m", "sola", *arguments]


def call(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(
        command(processes, *arguments), capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert found.returncode == 0, found.stderr
    return found


def losses(run: Path, name: str = "loss") -> list[float]:
    return [json.loads(line)[name] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "data"
    write(WORLD, folder)
    return folder


MODULE = ("--hidden", "32", "--epochs", "4", "--windows-per-video", "4", "--step", "2", "--precision", "fp32")
HEADS = {
    # at the published rates, what rounding changes in a first step is in the fourth digit by the third epoch
    "bmn": ("--length", "24", "--learning-rate", "1e-4"),
    "gtad": ("--length", "24", "--bins", "8", "--context-bins", "2", "--learning-rate", "1e-4"),
    "actionformer": ("--width", "16", "--levels", "3", "--length", "64", "--warmup-epochs", "1"),
}


@pytest.mark.slow
class TestTorchrun:
    def test_a_module_is_trained_as_by_one_and_said_and_written_once(self, world: Path, tmp_path: Path) -> None:
        # 48 windows in batches of 47: shares of 16, 16 and 15, and one window for three processes in the end
        options = (*MODULE, "--batch-size", "47", "--dropout", "0.5", "--loss", "softened_outside")
        features = (str(world / "features"), "--annotations", str(world / "annotations.json"))
        assert sola("train", *features, "--out", tmp_path / "one", *options, "--quiet") == 0
        many = tmp_path / "many"
        told = call(3, "train", *features, "--out", str(many), *options, "--tensorboard").stderr
        assert told.count("next: sola transform") == 1
        assert told.count("videos of") == 1
        assert len(list((many / "tensorboard").iterdir())) == 1
        assert json.loads((many / "config.json").read_text())["environment"]["processes"] == 3
        assert losses(many) == pytest.approx(losses(tmp_path / "one"), abs=1e-6)
        theirs = load_file(many / "module.safetensors")
        for name, value in load_file(tmp_path / "one" / "module.safetensors").items():
            torch.testing.assert_close(theirs[name], value, atol=1e-5, rtol=1e-3)

    @pytest.mark.parametrize("head", sorted(HEADS))
    def test_a_head_is_trained_as_by_one(self, world: Path, tmp_path: Path, head: str) -> None:
        where = (str(world / "features"), "--annotations", str(world / "annotations.json"), "--model", head)
        chosen = (*HEADS[head], "--epochs", "3", "--batch-size", "4", "--precision", "fp32", "--quiet")
        chosen += ("--validation-subset", "validation")
        assert sola("train-detector", *where, "--out", tmp_path / "one", *chosen) == 0
        train_in_processes(2, "train-detector", *where, "--out", tmp_path / "many", *chosen)
        for figure in ("loss", "validation_loss"):
            ours, expected = (losses(tmp_path / name, figure) for name in ("many", "one"))
            assert ours == pytest.approx(expected, abs=1e-4)

    @pytest.mark.long
    def test_stopped_and_gone_on_with_it_ends_where_an_undisturbed_run_does(self, world: Path, tmp_path: Path) -> None:
        options = (str(world / "features"), *MODULE, "--epochs", "40", "--windows-per-video", "16")
        call(2, "train", *options, "--out", str(tmp_path / "whole"))
        cut = tmp_path / "cut"
        process = subprocess.Popen(
            command(2, "train", *options, "--out", str(cut), "--resume"),
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        until = time.monotonic() + 300
        while not ((cut / "metrics.jsonl").is_file() and len(losses(cut)) >= 3):
            assert process.poll() is None, "it ended before it was stopped"
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.wait()
        assert (cut / "checkpoint" / "checkpoint.safetensors").is_file()
        assert not (cut / "module.safetensors").exists(), "it finished before it was stopped"
        call(2, "train", *options, "--out", str(cut), "--resume")
        one, many = (load_file(tmp_path / name / "module.safetensors") for name in ("whole", "cut"))
        for name, value in one.items():
            torch.testing.assert_close(many[name], value, atol=0, rtol=0)
