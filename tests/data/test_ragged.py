"""Packed features in one array."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.ragged import pack


def make(
    folder: Path, videos: int = 5, length: int = 20, channels: int = 8, dtype: type = np.float16
) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal((length + i, channels)).astype(dtype) for i in range(videos)]
    for i, values in enumerate(arrays):
        np.savez(folder / f"{i:03}.npz", features=values)
    return arrays


@pytest.mark.parametrize("limit", [None, 1000])
def test_every_video_is_a_view_of_one_array_in_the_stored_dtype(tmp_path, limit):
    arrays = make(tmp_path)
    packed = pack(FeatureSet.open(tmp_path), memory_limit=limit, folder=tmp_path)
    assert packed.videos == tuple(f"{i:03}" for i in range(5))
    assert packed.lengths.tolist() == [20, 21, 22, 23, 24]
    assert packed.values.dtype == np.float16
    for i, values in enumerate(arrays):
        np.testing.assert_array_equal(packed.video(i), values)
        assert np.shares_memory(packed.video(i), packed.values)


def test_mixed_dtypes_are_packed_in_the_widest_dtype(tmp_path):
    make(tmp_path)
    np.savez(tmp_path / "999.npz", features=np.full((2, 8), 1e-30, np.float32))
    packed = pack(FeatureSet.open(tmp_path))
    assert packed.values.dtype == np.float32
    assert packed.video(5)[0, 0] == np.float32(1e-30)


def test_memory_peaks_at_the_packed_features_and_one_file(tmp_path):
    arrays = make(tmp_path, videos=10, length=4000, channels=256)
    features = FeatureSet.open(tmp_path)
    pack(features.only(features.videos[:1]))  # exclude imports on first use from the measurement
    tracemalloc.start()
    packed = pack(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one_file = arrays[-1].nbytes
    mask = one_file // 2  # one byte per value during the check for finite values
    assert peak < packed.values.nbytes + one_file + mask + 2**18


def test_array_above_the_limit_is_on_disk_and_leaves_no_file(tmp_path):
    make(tmp_path)
    (tmp_path / "run").mkdir()
    packed = pack(FeatureSet.open(tmp_path), memory_limit=1000, folder=tmp_path / "run")
    assert isinstance(packed.values, np.memmap)
    assert list((tmp_path / "run").iterdir()) == []


def test_array_above_the_limit_requires_a_folder(tmp_path):
    make(tmp_path)
    with pytest.raises(SolaError, match="1,760 bytes of memory, but the limit is 1,000; pass a folder"):
        pack(FeatureSet.open(tmp_path), memory_limit=1000)
    with pytest.raises(SolaError, match="nowhere: cannot be written"):
        pack(FeatureSet.open(tmp_path), memory_limit=1000, folder=tmp_path / "nowhere")


@pytest.mark.parametrize("limit", [None, 1000])
def test_with_skip_bad_the_array_is_cut_to_the_filled_rows(tmp_path, limit):
    arrays = make(tmp_path)
    np.savez(tmp_path / "002.npz", features=np.full((22, 8), np.nan, np.float16))
    with pytest.raises(SolaError, match=r"002\.npz: contains NaN"):
        pack(FeatureSet.open(tmp_path))
    skipped: dict[str, str] = {}
    packed = pack(FeatureSet.open(tmp_path, skip_bad=True), memory_limit=limit, folder=tmp_path, skipped=skipped)
    assert packed.videos == ("000", "001", "003", "004")
    assert packed.values.shape == (20 + 21 + 23 + 24, 8)
    np.testing.assert_array_equal(packed.video(2), arrays[3])
    assert list(skipped) == ["002"]


def test_with_skip_bad_a_bad_csv_only_wastes_its_rows(tmp_path):
    for name, content in (("a", "1,2\n3,4\n"), ("b", "1,2\n3\n"), ("c", ""), ("d", "5,6\n")):
        (tmp_path / f"{name}.csv").write_text(content)
    packed = pack(FeatureSet.open(tmp_path, skip_bad=True))
    assert packed.videos == ("a", "d")
    assert packed.values.tolist() == [[1, 2], [3, 4], [5, 6]]
