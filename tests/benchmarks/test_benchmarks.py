"""The benchmarks that nobody waits for run at a small size, and the documents say what was measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import performance
import pytest

from sola.detectors import DETECTORS

BENCHMARKS = performance.HERE


def rows(document: str) -> list[str]:
    """Of the table of figures."""
    return [line for line in document.splitlines() if line.startswith("| ") and "`benchmarks/" in line]


def test_the_document_of_figures_is_what_was_measured() -> None:
    kept = json.loads(performance.JSON.read_text())
    document = (performance.DOCS / "performance.md").read_text()
    assert document == performance.page(kept)
    assert len(rows(document)) == len(performance.FIGURES)


def printed(name: str, *arguments: str) -> Any:
    found = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


@pytest.mark.slow
def test_what_measures_a_gpu_runs_without_one() -> None:
    found = printed("gpu.py", "--device", "cpu", "--videos", "48", "--epochs", "2", "--batch", "1")
    assert found["training"]["windows"] == 96
    assert set(found["detectors_milliseconds"]) == set(DETECTORS)


@pytest.mark.slow
@pytest.mark.long
def test_training_from_a_file_is_measured_beside_memory(tmp_path: Path) -> None:
    few = ("--videos", "64", "--rounds", "1", "--folder", str(tmp_path))
    (row,) = printed("larger_than_memory.py", *few)["rows"]
    assert row["videos"] == 64
    assert row["mapped_of_in_memory"] > 0
    assert not list(tmp_path.iterdir())
