"""Benchmarks run at a small size, and the performance page matches the stored measurements."""

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
    """Return the rows of the table of figures."""
    return [line for line in document.splitlines() if line.startswith("| ") and "`benchmarks/" in line]


def test_performance_page_matches_the_measurements() -> None:
    measurements = json.loads(performance.JSON.read_text())
    document = (performance.DOCS / "performance.md").read_text()
    assert document == performance.page(measurements)
    assert len(rows(document)) == len(performance.FIGURES)


def run_benchmark(name: str, *arguments: str) -> Any:
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


@pytest.mark.slow
def test_gpu_benchmark_runs_on_a_cpu() -> None:
    result = run_benchmark("gpu.py", "--device", "cpu", "--videos", "48", "--epochs", "2", "--batch", "1")
    assert result["training"]["windows"] == 96
    assert set(result["detectors_milliseconds"]) == set(DETECTORS)


@pytest.mark.slow
@pytest.mark.long
def test_training_from_a_file_is_compared_with_training_in_memory(tmp_path: Path) -> None:
    options = ("--videos", "64", "--rounds", "1", "--folder", str(tmp_path))
    (row,) = run_benchmark("larger_than_memory.py", *options)["rows"]
    assert row["videos"] == 64
    assert row["mapped_of_in_memory"] > 0
    assert not list(tmp_path.iterdir())
