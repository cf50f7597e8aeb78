"""Feature sets: directories, archives, streams and errors."""

import dataclasses
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support.feature_files import VIDEOS, array, expected, make, refuse

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.formats.base import Header


def spoil(folder: Path, content: bytes | np.ndarray, video: str = "b") -> Path:
    """Replace the file of a video with bad content."""
    path = folder / f"{video}.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    return path


with_nan = expected(1)
with_nan[7, 2] = np.nan
BAD = {
    "empty": (b"", r"is empty"),
    "garbage": (b"no array at all", "cannot be read as a .npy file"),
    "truncated": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f2', 'fortran_order': False, 'shape': (10, 4), }".ljust(127)
                  + b"\n1234", "truncated: the header describes 80 bytes of values, but the file has 4"),
    "pickled": (pickle.dumps([1, 2]), "cannot be read as a .npy file"),
    "objects": (np.array([[None]]), "pickled Python objects"),
    "0-d": (np.float16(1), r"0-d array of shape \(\)"),
    "1-d": (np.zeros(4, np.float16), "1-d array"),
    "3-d": (np.zeros((2, 3, 4), np.float16), "3-d array"),
    "no snippet": (np.zeros((0, 4), np.float16), "empty array"),
    "integers": (np.zeros((5, 4), np.int32), "contains int32"),
    "width": (np.zeros((5, 3), np.float16), "has 3 channels; expected 4, as in 2 of 3 files"),
    "nan": (with_nan, "NaN or infinity, first in snippet 7"),
    "infinity": (np.full((5, 4), np.inf, np.float16), "NaN or infinity, first in snippet 0"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_error_names_the_bad_file_its_problem_and_the_cure(tmp_path, content, message):
    path = spoil(make(tmp_path), content)
    refuse(tmp_path, f"^{path}: .*{message}.*--skip-bad")


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_skip_bad_skips_a_bad_file_and_reports_the_reason(tmp_path, content, message):
    path = spoil(make(tmp_path), content)
    features, skipped = FeatureSet.open(tmp_path, skip_bad=True), {}
    assert [video for video, _ in features.items(skipped)] == ["a", "c"]
    reasons = {**features.unreadable, **skipped}
    assert list(reasons) == ["b"]
    assert reasons["b"].startswith(f"{path}: ")
    assert features.without(skipped).videos == ("a", "c")


@pytest.mark.parametrize("fault", sorted(BAD.keys() - {"nan", "infinity"}))
def test_bad_npy_headers_are_found_when_a_folder_is_opened(tmp_path, fault):
    spoil(make(tmp_path), BAD[fault][0])
    with pytest.raises(SolaError, match=BAD[fault][1]):
        FeatureSet.open(tmp_path)


def test_reading_does_not_change_a_set(tmp_path):
    spoil(make(tmp_path), with_nan)
    features, skipped = FeatureSet.open(tmp_path, skip_bad=True), {}
    assert [video for video, _ in features.only(["a", "b"]).items(skipped)] == ["a"]
    assert list(skipped) == ["b"]
    assert (features.videos, features.unreadable) == (VIDEOS, {})
    assert [video for video, _ in features.items()] == ["a", "c"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        features.videos = ("a",)


def test_videos_known_to_be_bad_are_skipped(tmp_path):
    features = FeatureSet.open(make(tmp_path)).without({"b": "b is bad"})
    assert (features.videos, features.unreadable) == (("a", "c"), {"b": "b is bad"})
    assert features.only(["a", "b"]).videos == ("a",)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_bad_headers_are_errors_or_skipped(tmp_path, skip_bad):
    make(tmp_path, ".csv", dtype=np.float32)
    (tmp_path / "b.csv").write_text("1,2,3\n4,5\n")
    features, skipped = FeatureSet.open(tmp_path, skip_bad=skip_bad), {}
    if not skip_bad:
        with pytest.raises(SolaError, match=r"b\.csv"):
            features.headers(skipped)
        return
    assert {video: header.shape for video, header in features.headers(skipped).items()} == {"a": (9, 4), "c": (11, 4)}
    assert list(skipped) == ["b"]


def test_skip_bad_with_only_bad_files_is_an_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    refuse(tmp_path, "none of 1 videos is left", skip_bad=True)
    np.save(tmp_path / "a.npy", np.full((2, 2), np.nan))
    refuse(tmp_path, "none of 1 videos is left", skip_bad=True)


# sources


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv", ".h5"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_every_format_is_read_as_time_by_channels(tmp_path, suffix, channels_first):
    dtype = np.float32 if suffix == ".csv" else np.float16
    features = FeatureSet.open(make(tmp_path, suffix, channels_first, dtype), channels_first=channels_first)
    assert features.videos == VIDEOS
    assert features.channels == 4
    for i, (video, values) in enumerate(features.items()):
        np.testing.assert_array_equal(values, expected(i, dtype))
        assert values.dtype == dtype
        assert features.length(video) == 9 + i
        assert features.header(video) == Header(values.shape, values.dtype)


def test_archive_can_be_opened_directly(tmp_path):
    features = FeatureSet.open(make(tmp_path, ".h5") / "all.h5")
    assert features.videos == VIDEOS
    assert features.file_name("b") == "all.h5"


def test_other_files_are_ignored(tmp_path):
    make(tmp_path)
    for name in (".d.npy", ".a.npy.7.tmp", "features.json", "log.txt", "other.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder.npy").mkdir()
    assert FeatureSet.open(tmp_path).videos == VIDEOS


def test_big_endian_files_are_read_as_native(tmp_path):
    np.save(tmp_path / "a.npy", array(dtype=np.dtype(">f4")))
    values = FeatureSet.open(tmp_path).read("a")
    assert values.dtype.isnative
    np.testing.assert_array_equal(values, array(dtype=np.float32))


def test_error_names_a_missing_folder(tmp_path):
    refuse(tmp_path / "nowhere", f"^{tmp_path}/nowhere: no such directory")


def test_error_for_an_empty_folder_suggests_the_right_folder(tmp_path):
    refuse(tmp_path, f"^{tmp_path}: no feature files .*; pass the folder of the feature files")
    make(tmp_path / "features")
    refuse(tmp_path, f"did you mean {tmp_path}/features?")


def test_file_that_is_not_an_archive_is_rejected(tmp_path):
    refuse(make(tmp_path) / "a.npy", "a.npy: not a directory; expected a directory")


def test_mixed_formats_are_rejected(tmp_path):
    refuse(make(make(tmp_path), ".csv"), "mixed formats, such as a.csv and a.npy")


def test_two_archives_are_rejected(tmp_path):
    make(tmp_path, ".h5")
    with h5py.File(tmp_path / "more.h5", "w"):
        pass
    refuse(tmp_path, "2 .h5 archives; pass the archive")
    refuse(tmp_path / "more.h5", "no videos; expected one dataset per video")


def test_manifest_decides_the_number_of_channels(tmp_path):
    make(tmp_path)
    (tmp_path / "features.json").write_text('{"dim": 4}')
    np.save(tmp_path / "b.npy", array(channels=5))
    refuse(tmp_path, "b.npy: has 5 channels; expected 4, as in features.json; repair or remove it, or")
    (tmp_path / "features.json").write_text('{"dim": 6}')
    np.save(tmp_path / "b.npy", array())
    refuse(tmp_path, r'all 3 files have 4 channels, but features\.json has dim 6; correct "dim"$', skip_bad=True)


@pytest.mark.parametrize("suffix", [".csv", ".pt"])
def test_wrong_width_without_cheap_headers_is_found_when_read(tmp_path, suffix):
    make(tmp_path, suffix, dtype=np.float32)
    wide = array(channels=6, dtype=np.float32)
    np.savetxt(tmp_path / "b.csv", wide, delimiter=",") if suffix == ".csv" else torch.save(
        torch.tensor(wide), tmp_path / "b.pt"
    )
    refuse(tmp_path, f"b{suffix}: has 6 channels; expected 4")
    features = FeatureSet.open(tmp_path, skip_bad=True)
    assert [video for video, _ in features.items()] == ["a", "c"]


@pytest.mark.parametrize("skip_bad", [False, True])
def test_transposed_files_are_detected(tmp_path, skip_bad):
    message = (
        r"all 3 arrays would have 4 snippets of 9 to 11 channels, so their axes are swapped; pass --channels-first$"
    )
    refuse(make(tmp_path / "f", transposed=True), f"^{tmp_path}/f: {message}", skip_bad=skip_bad)
    refuse(make(tmp_path / "g"), "axes are swapped; remove --channels-first$", skip_bad=skip_bad, channels_first=True)
    (tmp_path / "g" / "features.json").write_text('{"layout": "CT"}')
    refuse(tmp_path / "g", 'axes are swapped; correct "layout" in features.json$', skip_bad=skip_bad)
    (tmp_path / "f" / "features.json").write_text('{"dim": 4}')
    refuse(tmp_path / "f", "axes are swapped; pass --channels-first$", skip_bad=skip_bad)


def test_one_transposed_file_does_not_transpose_all(tmp_path):
    for video, length in zip(VIDEOS, (9, 9, 10), strict=True):
        np.save(tmp_path / f"{video}.npy", array(length))
    np.save(tmp_path / "b.npy", array().T)
    refuse(tmp_path, "has 9 channels; expected 4, as in 2 of 3 files .the array may be .*; repair or remove it, or")


@pytest.mark.parametrize("length", [0, 1])
def test_two_kinds_of_features_are_detected(tmp_path, length):
    for video, channels in zip("abcde", (4, 4, 4, 6, 6), strict=True):
        np.save(tmp_path / f"{video}.npy", array(9 + length * channels, channels))
    message = "3 files have 4 channels, such as 'a', and 2 have 6, such as 'd'; use one kind of features per folder$"
    refuse(tmp_path, f"^{tmp_path}: {message}")
    assert FeatureSet.open(tmp_path, skip_bad=True).videos == ("a", "b", "c")


# advice in errors


@pytest.mark.parametrize("fault", sorted(BAD.keys() - {"nan", "infinity", "width"}))
def test_skip_bad_is_not_advised_if_all_files_are_bad(tmp_path, fault):
    content = BAD[fault][0]
    make(tmp_path)
    for video in VIDEOS:
        spoil(tmp_path, content, video)
    refuse(tmp_path, f"a.npy: .*{BAD[fault][1]}.*; all 3 videos fail: repair or replace them$")


def test_skip_bad_is_not_advised_for_the_only_file(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    refuse(tmp_path, r"expected \[time, channels\]; repair or replace it$")


def test_skip_bad_is_not_advised_if_other_files_are_bad_too(tmp_path):
    for video in "abcdef":
        np.save(tmp_path / f"{video}.npy", np.full((3, 2), np.nan if video != "a" else 1.0))
    refuse(tmp_path, "b.npy: contains NaN or infinity, .*; also bad: 'c', 'd', 'e'; repair or replace them$")
    np.save(tmp_path / "d.npy", np.ones((3, 2)))
    refuse(tmp_path, "b.npy: contains NaN or infinity, .*; repair or remove it, or pass --skip-bad$")


def test_transposed_text_files_are_not_skipped(tmp_path):
    for video, length in zip("abcde", range(5, 10), strict=True):
        np.savetxt(tmp_path / f"{video}.csv", array(length).T, delimiter=",")
    message = (
        r"b.csv: has 6 channels; expected 5 \(if the arrays are \[channels, time\], pass --channels-first\); also bad"
    )
    refuse(tmp_path, message)


def test_files_of_equal_length_are_not_mistaken_for_transposed(tmp_path):
    for video, channels in (("a", 4), ("b", 3), ("c", 4)):
        np.save(tmp_path / f"{video}.npy", array(100, channels))
    refuse(tmp_path, "has 3 channels; expected 4, as in 2 of 3 files; repair")


def test_manifest_can_set_channels_first(tmp_path):
    make(tmp_path, transposed=True)
    (tmp_path / "features.json").write_text('{"layout": "CT"}')
    np.testing.assert_array_equal(FeatureSet.open(tmp_path).read("a"), expected(0))
    (tmp_path / "features.json").write_text('{"layout": "TC"}')
    refuse(tmp_path, "remove --channels-first", channels_first=True)


def test_error_names_an_unknown_video(tmp_path):
    features = FeatureSet.open(make(tmp_path))
    with pytest.raises(SolaError, match="no features of video 'z'"):
        features.only(["a", "z"])


def test_only_and_with_timing(tmp_path):
    features = FeatureSet.open(make(tmp_path))
    assert features.only(["c", "a"]).videos == ("a", "c")
    assert features.with_timing({"fps": 25.0}).manifest.fps == 25


@pytest.mark.parametrize("suffix", [".npy", ".h5"])
def test_a_set_can_be_pickled(tmp_path, suffix):
    features = FeatureSet.open(make(tmp_path, suffix))
    features.read("a")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).read("a"), expected(0))


# ids with folders


def tree(folder: Path) -> Path:
    for place in ("P1", "P2/day"):
        make(folder / place)
    return folder


def test_ids_may_contain_folders(tmp_path):
    features = FeatureSet.open(tree(tmp_path), id_from="path")
    assert features.videos == tuple(f"{place}/{video}" for place in ("P1", "P2/day") for video in VIDEOS)
    np.testing.assert_array_equal(features.read("P2/day/b"), expected(1))
    assert features.file_name("P2/day/b") == "P2/day/b.npy"


def test_error_for_unsearched_subfolders_gives_advice(tmp_path):
    message = "; pass --id-from path to read its subfolders, such as P1, or pass one of them$"
    refuse(tree(tmp_path / "f"), rf"^{tmp_path}/f: no feature files \(.*\){message}")
    both = tmp_path / "both"
    make(both / "rgb"), make(both / "flow")
    refuse(both, f"; pass the folder of each stream: {both}/flow {both}/rgb$")


def test_gtea_is_opened_and_matched(shared_data):
    features = FeatureSet.open(shared_data / "gtea" / "split1" / "features")
    assert len(features.videos) == 28
    assert features.channels == 128
    assert features.read(features.videos[0]).dtype == np.float16


def test_error_names_uppercase_suffixes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 2), np.float32))
    (tmp_path / "a.npy").rename(tmp_path / "a.NPY")
    with pytest.raises(SolaError, match=r"no feature files .*; suffixes must be lowercase: rename .* a\.NPY"):
        FeatureSet.open(tmp_path)
