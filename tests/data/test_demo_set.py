"""The demo data set included in the package."""

from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data import demo_set
from sola.data.dataset import Dataset
from sola.data.demo_set import write_demo_set


def test_features_and_annotations_match(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "data")
    data = Dataset.open(tmp_path / "data" / "features", tmp_path / "data" / "annotations.json")
    assert data.findings == ()
    assert {part: len(data.subset(part)) for part in ("training", "validation")} == {"training": 56, "validation": 20}
    assert len(data) == 76
    assert len(data.classes) >= 11
    for video, array in data.items():
        assert array.dtype == np.float16
        assert array.shape[1] == data.features.channels == 128
        assert video.duration == pytest.approx(len(array) / 4, abs=0.5)
        covered = video.grid.covered(video.segments, len(array), len(data.classes))
        assert 0 < covered.any(axis=1).mean() < 1


def test_file_is_at_most_12_megabytes() -> None:
    assert (Path(demo_set.__file__).parent / demo_set.FILE).stat().st_size < 12e6


def test_a_damaged_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / demo_set.FILE).write_bytes(b"not a tensor")
    monkeypatch.setattr(demo_set, "files", lambda package: tmp_path)
    with pytest.raises(SolaError, match=r"demo_set.safetensors: damaged package .* reinstall sola-tal"):
        write_demo_set(tmp_path / "data")
