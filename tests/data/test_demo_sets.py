"""The sets of the rendered benchmark that come with the package."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data import demo_sets
from sola.data.dataset import Dataset
from sola.data.demo_sets import BenchmarkSet, write_benchmark


@pytest.mark.parametrize("name", get_args(BenchmarkSet))
def test_a_set_is_features_and_annotations_that_fit_each_other(name: BenchmarkSet, tmp_path: Path) -> None:
    write_benchmark(name, tmp_path / "data")
    data = Dataset.open(tmp_path / "data" / "features", tmp_path / "data" / "annotations.json")
    assert data.findings == ()
    assert {part: len(data.subset(part)) for part in ("training", "validation")} == {"training": 56, "validation": 20}
    assert len(data) == 76
    assert len(data.classes) >= 11
    for video, array in data.items():
        assert array.dtype == np.float16
        assert array.shape[1] == data.features.channels == 128
        assert video.duration == pytest.approx(len(array) / 4, abs=0.5)
        covered = video.grid.covered(video.segments, len(array))
        assert 0 < (covered >= 0).mean() < 1


def test_what_comes_with_the_package_takes_no_more_than_12_megabytes() -> None:
    folder = Path(demo_sets.__file__).parent / demo_sets.FOLDER
    files = sorted(folder.iterdir())
    assert [file.stem for file in files] == sorted(get_args(BenchmarkSet))
    assert sum(file.stat().st_size for file in files) < 12e6


def test_a_damaged_file_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "short-2-clip.safetensors").write_bytes(b"not a tensor")
    monkeypatch.setattr(demo_sets, "files", lambda package: tmp_path)
    monkeypatch.setattr(demo_sets, "FOLDER", "sets")
    with pytest.raises(SolaError, match=r"short-2-clip.safetensors: the package is damaged .* install it again"):
        write_benchmark("short-2-clip", tmp_path / "data")
