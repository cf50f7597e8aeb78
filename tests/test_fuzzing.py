"""Every reader for a moment under the fuzzer; `tests/fuzzing/fuzz_reader.py` says how to run it for longer."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="fuzzing needs atheris")

HARNESS = Path(__file__).parent / "fuzzing" / "fuzz_reader.py"
READERS = (
    "npy",
    "npz",
    "pt",
    "csv",
    "h5",
    "annotations",
    "detections",
    "lines",
    "manifest",
    "scores",
    "published",
    "module",
    "config",
)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_whatever_it_does_not_read(tmp_path: Path, reader: str) -> None:
    limits = ("-runs=1500", "-seed=1", "-max_len=16384", "-timeout=10", "-rss_limit_mb=4096")
    run = subprocess.run(
        [sys.executable, str(HARNESS), reader, str(tmp_path), *limits], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr[-3000:]


def test_every_reader_of_the_harness_is_tested() -> None:
    listed = subprocess.run([sys.executable, str(HARNESS)], capture_output=True, text=True)
    assert listed.stdout.split() == list(READERS)
