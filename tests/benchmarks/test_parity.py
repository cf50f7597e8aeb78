"""Training parity: shared input, intervals, and a comparison with the authors' code where it is available."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from parity import compare, features
from parity.settings import REFERENCES, settings
from support.places import REPOSITORY
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.data.dataset import Dataset

# with fewer or shorter actions a batch may have no positive cell, for which the loss of JJBOY's code is NaN
WORLD = SyntheticWorld(training_videos=6, validation_videos=6, length=60, channels=8, action_length=30)
SMALL = {
    "actionformer": ("length=128", "width=16", "attention_window=5", "levels=3"),
    "tridet": ("length=128", "width=16", "hidden=16", "levels=3"),
    "bmn": ("length=12", "samples=2", "decay_every=2", "batch_size=3"),
}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write(WORLD, tmp_path / "world", seed=0)
    return tmp_path / "world"


def test_a_unit_averages_its_snippets_and_covers_their_time(world: Path, tmp_path: Path) -> None:
    data = Dataset.open(world / "features", world / "annotations.json")
    written = features.write(data, 4, tmp_path / "written")
    first, second = data.videos[0], written.videos[0]
    assert second.length == first.length // 4
    np.testing.assert_allclose(written.read(second)[1], data.read(first)[4:8].astype(np.float32).mean(0), rtol=1e-6)
    for unit in range(second.length):
        assert second.grid.edge(unit) == pytest.approx(first.grid.edge(4 * unit))
    assert second.segments.start.tolist() == first.segments.start.tolist()
    assert written.classes == data.classes


def test_intervals_follow_student_and_welch() -> None:
    intervals = compare.intervals([1.0, 2.0, 3.0], [4.0, 6.0, 5.0])
    for low, high in intervals.values():
        assert (low + high) / 2 == pytest.approx(-3)
    # differences with standard deviation 1 and two degrees of freedom: Student's t is 4.303
    assert intervals["paired"][1] + 3 == pytest.approx(4.303 * math.sqrt(1 / 3), rel=1e-3)
    # equal variances and four degrees of freedom: 2.776
    assert intervals["welch"][1] + 3 == pytest.approx(2.776 * math.sqrt(1 / 3 + 1 / 3), rel=1e-3)


def test_unknown_and_invalid_settings_are_rejected() -> None:
    with pytest.raises(TypeError, match="wings"):
        settings("bmn", {"wings": 2})
    with pytest.raises(SolaError, match="epochs=0"):
        settings("bmn", {"epochs": 0})


@pytest.mark.slow
@pytest.mark.parametrize("model", REFERENCES)
def test_the_comparison_runs_with_the_authors_code(world: Path, tmp_path: Path, model: str) -> None:
    if not os.environ.get(REFERENCES[model]):
        pytest.skip(f"set {REFERENCES[model]} to a clone of the authors' code")
    for library in ("pandas",) if model == "bmn" else ("nms_1d_cpu", "joblib", "h5py", "yaml"):
        pytest.importorskip(library)
    command = ["--model", model, "--data", world / "features", "--annotations", world / "annotations.json"]
    command += ["--out", tmp_path / "result.json", "--seeds", "2", "--set", "epochs=3", *SMALL[model]]
    command += [] if model == "bmn" else ["warmup_epochs=1"]
    process = subprocess.run(
        [sys.executable, "-m", "parity.compare", *map(str, command)],
        cwd=REPOSITORY / "benchmarks",
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert {side: len(rows) for side, rows in result["runs"].items()} == {"ours": 2, "authors": 2}
    assert [line["epoch"] for line in result["loss"]] == [1, 2, 3]
    assert "| average mAP |" in process.stdout or "| AR@100 |" in process.stdout
