"""Feature files: every format is read back as written, and errors name the damage."""

import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.formats import FORMATS
from sola.data.formats.base import Header

ARRAY = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


def save_npy(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def save_npz(path: Path, array: Any) -> Path:
    np.savez(path, x=array)
    return path


def save_pt(path: Path, array: Any) -> Path:
    torch.save(torch.as_tensor(array), path)
    return path


def save_csv(path: Path, array: Any) -> Path:
    np.savetxt(path, array, delimiter=",", fmt="%.9g")
    return path


def save_h5(path: Path, array: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["video"] = array
    return path / "video"


SAVE: dict[str, Callable[[Path, Any], Path]] = {
    ".npy": save_npy,
    ".npz": save_npz,
    ".pt": save_pt,
    ".csv": save_csv,
    ".h5": save_h5,
}
every_format = pytest.mark.parametrize("suffix", FORMATS)
every_binary_format = pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".csv"])
per_example = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def read(path: Path, suffix: str) -> np.ndarray:
    return FORMATS[suffix].read(path)


def refused(path: Path, suffix: str, message: str, *, by_header: bool = True) -> None:
    """Check that header and array are rejected with a one-line message that starts with the file."""
    for look in (FORMATS[suffix].header, FORMATS[suffix].read)[0 if by_header else 1 :]:
        with pytest.raises(SolaError, match=message) as raised:
            look(path)
        assert str(raised.value).startswith((f"{path}: ", f"{path.parent}: "))
        assert "\n" not in str(raised.value)


@every_binary_format
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_array_is_read_back(tmp_path, suffix, dtype):
    path = SAVE[suffix](tmp_path / f"a{suffix}", ARRAY.astype(dtype))
    assert FORMATS[suffix].header(path) == Header((6, 3), np.dtype(dtype))
    array = read(path, suffix)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, ARRAY.astype(dtype))


@every_binary_format
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_array_written_like_another_file_is_read_back(tmp_path, suffix, dtype):
    like = SAVE[suffix](tmp_path / f"a{suffix}", ARRAY.astype(dtype))
    target = tmp_path / f"b{suffix}"
    path = target / "video" if suffix == ".h5" else target
    FORMATS[suffix].write(path, 2 * ARRAY.astype(dtype), like)
    np.testing.assert_array_equal(read(path, suffix), 2 * ARRAY.astype(dtype))


def test_npy_file_is_memory_mapped_and_never_modified(tmp_path):
    path = save_npy(tmp_path / "a.npy", ARRAY)
    before = path.read_bytes()
    array = read(path, ".npy")
    assert isinstance(array, np.memmap)
    array[:] = 0
    array.flush()
    assert path.read_bytes() == before


def test_column_major_npy_is_read(tmp_path):
    path = save_npy(tmp_path / "a.npy", np.asfortranarray(ARRAY))
    np.testing.assert_array_equal(read(path, ".npy"), ARRAY)


# keys, headers and compression


def test_npz_array_named_features_is_read_and_written_under_its_key(tmp_path):
    like = tmp_path / "a.npz"
    np.savez_compressed(like, features=ARRAY, fps=np.array(25))
    np.testing.assert_array_equal(read(like, ".npz"), ARRAY)
    FORMATS[".npz"].write(tmp_path / "b.npz", ARRAY, like)
    with zipfile.ZipFile(tmp_path / "b.npz") as archive:
        (member,) = archive.infolist()
    assert (member.filename, member.compress_type) == ("features.npy", zipfile.ZIP_DEFLATED)


def test_npz_with_several_arrays_is_rejected(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, rgb=ARRAY, flow=ARRAY)
    refused(path, ".npz", "'rgb', 'flow'")


def test_pt_tensor_in_a_dict_is_read_and_written_under_its_key(tmp_path):
    like = tmp_path / "a.pt"
    torch.save({"feats": torch.from_numpy(ARRAY), "fps": 25}, like)
    np.testing.assert_array_equal(read(like, ".pt"), ARRAY)
    FORMATS[".pt"].write(tmp_path / "b.pt", ARRAY, like)
    assert list(torch.load(tmp_path / "b.pt", weights_only=True)) == ["feats"]


def test_bfloat16_is_read_as_float32_and_written_as_bfloat16(tmp_path):
    like = tmp_path / "a.pt"
    torch.save(torch.from_numpy(ARRAY).bfloat16(), like)
    array = read(like, ".pt")
    assert array.dtype == np.float32
    FORMATS[".pt"].write(tmp_path / "b.pt", array, like)
    written = torch.load(tmp_path / "b.pt", weights_only=True)
    assert torch.equal(written, torch.from_numpy(ARRAY).bfloat16())


def test_the_old_pt_format_is_read(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.from_numpy(ARRAY), path, _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(read(path, ".pt"), ARRAY)


def test_pt_with_two_tensors_is_rejected(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"rgb": torch.zeros(2, 2), "flow": torch.zeros(2, 2)}, path)
    refused(path, ".pt", "2 tensors")


@pytest.mark.parametrize("names", [None, "f0,f1,f2", "0,1,2"])
def test_csv_is_read_and_written_with_or_without_column_names(tmp_path, names):
    like = tmp_path / "a.csv"
    np.savetxt(like, ARRAY, delimiter=",", fmt="%.9g", header=names or "", comments="")
    assert FORMATS[".csv"].header(like).shape == (6, 3)
    np.testing.assert_array_equal(read(like, ".csv"), ARRAY)
    FORMATS[".csv"].write(tmp_path / "b.csv", ARRAY, like)
    assert (tmp_path / "b.csv").read_text() == like.read_text()


@pytest.mark.parametrize("names", ["frame,a,b\n", ""])
@pytest.mark.parametrize(("first", "step"), [(0, 1), (1, 1), (8, 16)])
def test_csv_with_line_numbers_is_rejected(tmp_path, names, first, step):
    lines = [f"{first + step * row},{0.5 * row},{row % 3}\n" for row in range(4)]
    (tmp_path / "a.csv").write_text(names + "".join(lines))
    refused(tmp_path / "a.csv", ".csv", f"the first column is a line number that starts at {first}; remove it")
    (tmp_path / "b.csv").write_text(names + "".join([*lines[:3], "7,1,1\n"]))
    assert FORMATS[".csv"].header(tmp_path / "b.csv").shape == (4, 3)


def test_csv_of_joined_streams_keeps_column_names(tmp_path):
    like = tmp_path / "a.csv"
    like.write_text("f0,f1,f2\n1,2,3\n")
    FORMATS[".csv"].write(tmp_path / "b.csv", np.ones((2, 4), np.float32), like)
    assert (tmp_path / "b.csv").read_text().splitlines()[0] == "0,1,2,3"
    assert read(tmp_path / "b.csv", ".csv").shape == (2, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("1,oops,3\n1,2,3\n", "mixes numbers and text"),
        (",f0,f1\n0,1,2\n", "mixes numbers and text"),
    ],
)
def test_csv_with_malformed_first_line_is_rejected(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_text(content)
    refused(path, ".csv", message)


@pytest.mark.parametrize("content", ["1,2,3\n1,2\n", "1,2,3\n4,oops,6\n", "f0,f1\n"])
def test_csv_with_malformed_later_line_is_rejected_when_read(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(content)
    refused(path, ".csv", "cannot be read as a .csv file|no snippet", by_header=False)


# invalid feature files


@every_binary_format
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32(3), "0-d array"),
        (np.zeros(4, np.float32), "1-d array"),
        (np.zeros((2, 3, 4), np.float32), "3-d array"),
        (np.zeros((0, 4), np.float32), r"empty array of shape \(0, 4\)"),
        (np.zeros((4, 0), np.float32), r"empty array of shape \(4, 0\)"),
        (np.zeros((2, 3), np.int64), "contains int64; expected float16, float32 or float64"),
    ],
)
def test_invalid_arrays_are_rejected(tmp_path, suffix, array, message):
    refused(SAVE[suffix](tmp_path / f"a{suffix}", array), suffix, message)


class Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_nothing_is_unpickled(tmp_path, suffix):
    sprung, path = tmp_path / "sprung", tmp_path / f"a{suffix}"
    trap = np.array([[Trap(sprung)]], dtype=object)
    if suffix == ".pt":
        torch.save({"features": Trap(sprung)}, path)
    else:
        SAVE[suffix](path, trap)
    refused(path, suffix, "pickled Python objects|weights_only")
    assert not sprung.exists()


def test_pickled_pt_file_is_rejected_without_the_long_pytorch_message(tmp_path):
    torch.save({"folder": Path("a"), "features": torch.zeros(3, 2)}, tmp_path / "a.pt")
    with pytest.raises(
        SolaError, match=r"other Python objects or is damaged; save a tensor or a dict with one tensor$"
    ):
        FORMATS[".pt"].header(tmp_path / "a.pt")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".h5"])
def test_truncated_file_is_rejected(tmp_path, suffix):
    path = SAVE[suffix](tmp_path / f"a{suffix}", np.zeros((100, 50), np.float32))
    file = path.parent if suffix == ".h5" else path
    file.write_bytes(file.read_bytes()[:-2000])
    for look in (FORMATS[suffix].header, FORMATS[suffix].read):
        with pytest.raises(SolaError, match=f"^{file}: "):
            look(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv"])
def test_empty_file_is_rejected(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.touch()
    refused(path, suffix, "empty|cannot be read")


def huge_npy() -> bytes:
    """Return a header of a 4 TB array without values."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 1000)})
    return file.getvalue()


def test_npy_header_is_checked_before_memory_is_allocated(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(huge_npy())
    refused(path, ".npy", "truncated: the header describes 4,000,000,000,000 bytes of values, but the file has 0")


def test_npz_header_is_checked_before_memory_is_allocated(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", huge_npy())
    refused(path, ".npz", "truncated")


def test_group_with_one_dataset_is_a_video_but_an_external_link_is_not(tmp_path):
    archive = tmp_path / "a.h5"
    with h5py.File(archive, "w") as file:
        file["group/features"] = ARRAY
        file["pair/rgb"] = file["pair/flow"] = ARRAY
        file["elsewhere"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "x")
    np.testing.assert_array_equal(read(archive / "group", ".h5"), ARRAY)
    FORMATS[".h5"].write(tmp_path / "b.h5" / "group", ARRAY, archive / "group")
    with h5py.File(tmp_path / "b.h5") as file:
        assert "group/features" in file
    refused(archive / "pair", ".h5", "group of 2 entries")
    refused(archive / "elsewhere", ".h5", "links are not followed")


def test_error_without_h5py_names_the_extra(tmp_path, monkeypatch):
    path = save_h5(tmp_path / "a.h5", ARRAY)
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(path, ".h5", r"a\.h5: reading .h5 files requires h5py; install sola-tal\[hdf5\]")


# arbitrary bytes


def read_or_refuse(path: Path, suffix: str) -> None:
    """Check that reading raises only one-line SolaErrors, and that header and array agree."""
    try:
        header = FORMATS[suffix].header(path)
        array = FORMATS[suffix].read(path)
    except SolaError as error:
        message = str(error)
    else:
        message = ""
        assert Header(array.shape, array.dtype) == header
    assert "\n" not in message


@every_format
@per_example
@given(content=st.binary(max_size=300))
def test_arbitrary_bytes_are_rejected(tmp_path, suffix, content):
    magic = {".npy": b"\x93NUMPY\x01\x00", ".h5": b"\x89HDF\r\n\x1a\n", ".npz": b"PK\x03\x04"}.get(suffix, b"")
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content if content[:1] < b"\x80" else magic + content)
    read_or_refuse(file / "video" if suffix == ".h5" else file, suffix)


@every_format
@per_example
@given(data=st.data())
def test_damaged_file_is_read_or_rejected(tmp_path, suffix, data):
    path = SAVE[suffix](tmp_path / f"a{suffix}", ARRAY)
    file = path.parent if suffix == ".h5" else path
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    read_or_refuse(path, suffix)


@per_example
@given(text=st.text(alphabet="0123456789.,-+eEnaifx \n\r\t\"'#\u2028\x00é", max_size=40))
def test_arbitrary_text_is_a_csv_or_rejected(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    read_or_refuse(path, ".csv")


@per_example
@given(value=st.recursive(st.integers() | st.text() | st.none(), st.lists, max_leaves=5))
def test_any_pickle_as_pt_is_rejected(tmp_path, value):
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(value))
    refused(path, ".pt", "cannot be read")
