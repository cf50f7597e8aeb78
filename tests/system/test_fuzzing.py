"""Run every reader on slightly changed files. `support/fuzzing/fuzz_reader.py` fuzzes readers for hours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fuzzing.mutation import bytes_changed, values_changed
from support.fuzzing.readers import READERS, is_read
from support.places import SUPPORT

HARNESS = SUPPORT / "fuzzing" / "fuzz_reader.py"
MAX_SIZE = 16384
COUNT = 2000 if "SOLA_LONG" in os.environ else 500
"""Number of files per reader; a tenth of this for detectors, which are slow to build."""


def mutation_seeds(reader: str) -> range:
    return range(COUNT // 10 if reader == "detector" else COUNT)


@pytest.mark.parametrize("reader", READERS)
def test_valid_files_are_read(tmp_path: Path, reader: str) -> None:
    name, read, seeds = READERS[reader]
    assert all(is_read(read, tmp_path / name, seed) for seed in seeds)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_a_file_with_changed_bytes_is_read_or_rejected(tmp_path: Path, reader: str) -> None:
    name, read, seeds = READERS[reader]
    for seed in mutation_seeds(reader):
        is_read(read, tmp_path / name, bytes_changed(seeds[seed % len(seeds)], seed))


@pytest.mark.slow
@pytest.mark.parametrize("reader", [reader for reader, (name, _, _) in READERS.items() if ".json" in name])
def test_a_document_with_changed_values_is_read_or_rejected(tmp_path: Path, reader: str) -> None:
    name, read, seeds = READERS[reader]
    for seed in mutation_seeds(reader):
        changed = values_changed(seeds[seed % len(seeds)], MAX_SIZE, seed)
        assert changed is not None
        is_read(read, tmp_path / name, changed)


@pytest.mark.slow
@pytest.mark.long
def test_the_fuzzer_runs(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="fuzzing needs atheris")
    run = subprocess.run(
        [sys.executable, str(HARNESS), "manifest", str(tmp_path), "-runs=1000", "-seed=1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert (tmp_path / "manifest.json").is_file()
