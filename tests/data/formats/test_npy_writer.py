"""A .npy file written in pieces equals the file that NumPy saves."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.formats.npy import NpyWriter


@given(
    lengths=st.lists(st.integers(0, 9), max_size=8),
    channels=st.integers(1, 5),
    dtype=st.sampled_from(["float16", "float32"]),
)
@settings(deadline=None)
def test_written_rows_are_read_back(
    lengths: list[int], channels: int, dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("growing") / "a.npy"
    generator = np.random.default_rng(0)
    pieces = [generator.normal(size=(length, channels)).astype(np.float32) for length in lengths]
    with NpyWriter(path, channels, np.dtype(dtype)) as array:
        for piece in pieces:
            array.append(piece)
    got = np.load(path)
    assert got.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(got, np.concatenate([np.zeros((0, channels), np.float32), *pieces]).astype(dtype))


@pytest.mark.parametrize("rows", [1, 9, 10, 99_999, 1_234_567])
def test_header_has_room_for_any_number_of_rows(rows: int, tmp_path: Path) -> None:
    with NpyWriter(tmp_path / "a.npy", 1, np.dtype("float16")) as array:
        array.append(np.zeros((rows, 1), np.float32))
    assert np.load(tmp_path / "a.npy", mmap_mode="r").shape == (rows, 1)
    np.save(tmp_path / "b.npy", np.zeros((rows, 1), np.float16))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_non_contiguous_rows_are_written(tmp_path: Path) -> None:
    rows = np.arange(24, dtype=np.float32).reshape(4, 6)
    with NpyWriter(tmp_path / "a.npy", 3, np.dtype("float32")) as array:
        array.append(rows[:, ::2])
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rows[:, ::2])


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.nan, "float32"), (np.inf, "float32"), (7e4, "float16"), (-7e4, "float16")]
)
def test_values_that_do_not_fit_are_rejected(value: float, dtype: str, tmp_path: Path) -> None:
    with (
        pytest.raises(SolaError, match=f"a feature is NaN or exceeds the largest {dtype} value"),
        NpyWriter(tmp_path / "a.npy", 2, np.dtype(dtype)) as array,
    ):
        array.append(np.array([[0.0, value]], np.float32))


def test_wrong_number_of_channels_is_rejected(tmp_path: Path) -> None:
    with (
        pytest.raises(SolaError, match="rows have 3 channels; expected 2"),
        NpyWriter(tmp_path / "a.npy", 2, np.dtype("float32")) as array,
    ):
        array.append(np.zeros((1, 3), np.float32))


def test_header_has_no_rows_after_an_error(tmp_path: Path) -> None:
    def fill() -> None:
        with NpyWriter(tmp_path / "a.npy", 2, np.dtype("float32")) as array:
            array.append(np.ones((5, 2), np.float32))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert np.load(tmp_path / "a.npy").shape == (0, 2)
