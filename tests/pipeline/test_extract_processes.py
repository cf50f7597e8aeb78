"""Processes that extract features can be killed or interrupted, and their memory does not grow with the video."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.calling import sola
from support.extraction import contents, rows_of
from support.places import QUADRANTS, SUPPORT
from support.rendering import render

pytestmark = pytest.mark.usefixtures("no_thread_remains")
SLOW = f"{QUADRANTS}:slow"


def start(clips: Path, out: Path, *more: str) -> "subprocess.Popen[bytes]":
    # tests that run in the background ignore interrupts, and a child process inherits this
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from sola.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "extract", str(clips), "--out", str(out)]
    return subprocess.Popen(
        [*command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_for_features(out: Path, process: "subprocess.Popen[bytes]", count: int) -> None:
    end = time.monotonic() + 60
    while len(list(out.glob("*.npy"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_continues_and_ends_with_the_same_bytes(clips: dict[str, Path], tmp_path: Path) -> None:
    folder, out = clips["mp4"].parent, tmp_path / "f"
    options = ("--encoder", SLOW, "--jobs", "3", "--batch-size", "1")
    process = start(folder, out, *options)
    wait_for_features(out, process, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for path in out.glob("*.npy"):
        assert np.load(path).shape[1] == 12, "whole files only"
    assert len(list(out.glob("*.npy"))) < len(clips)
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.npy") if path.stem in rows_of(out)}
    assert finished
    assert sola("extract", folder, "--out", out, *options, "--quiet") == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert sola("extract", folder, "--out", tmp_path / "undisturbed", *options, "--quiet") == 0
    assert contents(out) == contents(tmp_path / "undisturbed")


@pytest.mark.slow
def test_an_interrupt_prints_one_line_and_leaves_no_partial_file(clips: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "f"
    # wait at least a second per clip, so that the interrupt comes before the end even on a busy machine
    process = start(clips["mp4"].parent, out, "--encoder", SLOW, "--fps", "20", "--batch-size", "1", "--jobs", "1")
    wait_for_features(out, process, 1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert len(list(out.glob("*.npy"))) < len(clips)
    assert process.returncode == 130
    assert stdout == b""
    assert stderr.decode().startswith("sola: interrupted")
    assert len(stderr.splitlines()) == 1
    assert not list(out.glob(".*"))


PEAK = """
import re, sys
from pathlib import Path
from sola.pipeline.extract_job import extract
from support.quadrants import Quadrants
extract({"a": Path(sys.argv[1])}, Quadrants(window=4, fps=25.0), Path(sys.argv[2]))
# getrusage would return the peak of the parent process if that was higher
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", pytest.param(".mkv", marks=pytest.mark.long)])
def test_memory_does_not_grow_with_the_length_of_a_video(suffix: str, tmp_path: Path) -> None:
    peaks = []
    path_of_tests = os.pathsep.join([str(SUPPORT.parent), os.environ.get("PYTHONPATH", "")])
    for seconds in (10, 300):
        path = render(tmp_path / f"{seconds}{suffix}", count=25 * seconds, rate=25)
        command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / f"{seconds}")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": path_of_tests}
        )
        peaks.append(int(done.stdout))
    assert np.load(tmp_path / "300" / "a.npy", mmap_mode="r").shape == (7500, 12)
    assert peaks[1] - peaks[0] < 60, f"{peaks} MiB"
