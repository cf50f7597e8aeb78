"""Feature sets: directories, archives and streams, and what is refused in them."""

import dataclasses
import json
import pickle
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support.feature_files import VIDEOS, array, expected, make

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.formats.base import Header
from sola.data.manifest import Manifest


def refuse(source: Path | list[Path], told: str, streams: Sequence[str] = (), **options: bool) -> None:
    with pytest.raises(SolaError, match=told) as raised:
        list(FeatureSet.open(source, stream_suffixes=streams, **options).items())
    assert "\n" not in str(raised.value)


def spoil(folder: Path, content: bytes | np.ndarray, video: str = "b") -> Path:
    """Replace a video by something bad."""
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
                  + b"\n1234", "is truncated: its header promises 80 bytes of values, 4 are there"),
    "pickled": (pickle.dumps([1, 2]), "cannot be read as a .npy file"),
    "objects": (np.array([[None]]), "pickled Python objects"),
    "0-d": (np.float16(1), r"0-d array of shape \(\)"),
    "1-d": (np.zeros(4, np.float16), "1-d array"),
    "3-d": (np.zeros((2, 3, 4), np.float16), "3-d array"),
    "no snippet": (np.zeros((0, 4), np.float16), "empty array"),
    "integers": (np.zeros((5, 4), np.int32), "holds int32"),
    "width": (np.zeros((5, 3), np.float16), "has 3 channels; expected 4, as 2 of 3 files have"),
    "nan": (with_nan, "NaN or infinity, first in snippet 7"),
    "infinity": (np.full((5, 4), np.inf, np.float16), "NaN or infinity, first in snippet 0"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "told"), BAD.values(), ids=BAD)
def test_a_bad_file_is_named_with_its_fault_and_the_cure(tmp_path, content, told):
    path = spoil(make(tmp_path), content)
    refuse(tmp_path, f"^{path}: .*{told}.*--skip-bad")


@pytest.mark.parametrize(("content", "told"), BAD.values(), ids=BAD)
def test_skip_bad_leaves_a_bad_file_out_and_tells_why(tmp_path, content, told):
    path = spoil(make(tmp_path), content)
    features, skipped = FeatureSet.open(tmp_path, skip_bad=True), {}
    assert [video for video, _ in features.items(skipped)] == ["a", "c"]
    reasons = {**features.unreadable, **skipped}
    assert list(reasons) == ["b"]
    assert reasons["b"].startswith(f"{path}: ")
    assert features.without(skipped).videos == ("a", "c")


@pytest.mark.parametrize("fault", sorted(BAD.keys() - {"nan", "infinity"}))
def test_all_but_bad_values_is_found_when_a_folder_of_npy_is_opened(tmp_path, fault):
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


def test_videos_that_are_known_to_be_bad_are_left_out(tmp_path):
    features = FeatureSet.open(make(tmp_path)).without({"b": "b is bad"})
    assert (features.videos, features.unreadable) == (("a", "c"), {"b": "b is bad"})
    assert features.only(["a", "b"]).videos == ("a",)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_headers_of_bad_files_are_errors_or_left_out(tmp_path, skip_bad):
    make(tmp_path, ".csv", dtype=np.float32)
    (tmp_path / "b.csv").write_text("1,2,3\n4,5\n")
    features, skipped = FeatureSet.open(tmp_path, skip_bad=skip_bad), {}
    if not skip_bad:
        with pytest.raises(SolaError, match=r"b\.csv"):
            features.headers(skipped)
        return
    assert {video: header.shape for video, header in features.headers(skipped).items()} == {"a": (9, 4), "c": (11, 4)}
    assert list(skipped) == ["b"]


def test_skip_bad_is_no_use_when_nothing_is_left(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    refuse(tmp_path, "none of 1 videos is left", skip_bad=True)
    np.save(tmp_path / "a.npy", np.full((2, 2), np.nan))
    refuse(tmp_path, "none of 1 videos is left", skip_bad=True)


# what is found, and where


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".csv", ".h5"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_every_format_gives_time_by_channels(tmp_path, suffix, channels_first):
    dtype = np.float32 if suffix == ".csv" else np.float16
    features = FeatureSet.open(make(tmp_path, suffix, channels_first, dtype), channels_first=channels_first)
    assert features.videos == VIDEOS
    assert features.channels == 4
    for i, (video, values) in enumerate(features.items()):
        np.testing.assert_array_equal(values, expected(i, dtype))
        assert values.dtype == dtype
        assert features.length(video) == 9 + i
        assert features.header(video) == Header(values.shape, values.dtype)


def test_an_archive_can_be_named_itself(tmp_path):
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


def test_a_missing_folder_is_named(tmp_path):
    refuse(tmp_path / "nowhere", f"^{tmp_path}/nowhere: no such directory")


def test_an_empty_folder_is_named_and_the_right_one_suggested(tmp_path):
    refuse(tmp_path, f"^{tmp_path}: holds no feature files .*; name their folder")
    make(tmp_path / "features")
    refuse(tmp_path, f"did you mean {tmp_path}/features?")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    refuse(make(tmp_path) / "a.npy", "a.npy: is a file; expected a directory")


def test_mixed_formats_are_refused(tmp_path):
    refuse(make(make(tmp_path), ".csv"), "mixes formats, such as a.csv and a.npy")


def test_two_archives_are_refused(tmp_path):
    make(tmp_path, ".h5")
    with h5py.File(tmp_path / "more.h5", "w"):
        pass
    refuse(tmp_path, "holds 2 .h5 archives; name the one")
    refuse(tmp_path / "more.h5", "holds no video")


def test_the_manifest_says_which_width_is_right(tmp_path):
    make(tmp_path)
    (tmp_path / "features.json").write_text('{"dim": 4}')
    np.save(tmp_path / "b.npy", array(channels=5))
    refuse(tmp_path, "b.npy: has 5 channels; expected 4, as features.json says; repair or remove it, or")
    (tmp_path / "features.json").write_text('{"dim": 6}')
    np.save(tmp_path / "b.npy", array())
    refuse(tmp_path, 'all 3 files have 4 channels, features.json says 6; correct "dim" there$', skip_bad=True)


@pytest.mark.parametrize("suffix", [".csv", ".pt"])
def test_a_wrong_width_that_no_header_tells_is_found_when_read(tmp_path, suffix):
    make(tmp_path, suffix, dtype=np.float32)
    wide = array(channels=6, dtype=np.float32)
    np.savetxt(tmp_path / "b.csv", wide, delimiter=",") if suffix == ".csv" else torch.save(
        torch.tensor(wide), tmp_path / "b.pt"
    )
    refuse(tmp_path, f"b{suffix}: has 6 channels; expected 4")
    features = FeatureSet.open(tmp_path, skip_bad=True)
    assert [video for video, _ in features.items()] == ["a", "c"]


@pytest.mark.parametrize("skip_bad", [False, True])
def test_files_that_lie_the_other_way_are_recognized(tmp_path, skip_bad):
    told = "its 3 arrays would have 4 snippets of 9 to 11 channels, so their axes are swapped; pass --channels-first$"
    refuse(make(tmp_path / "f", transposed=True), f"^{tmp_path}/f: {told}", skip_bad=skip_bad)
    refuse(make(tmp_path / "g"), "axes are swapped; drop --channels-first$", skip_bad=skip_bad, channels_first=True)
    (tmp_path / "g" / "features.json").write_text('{"layout": "CT"}')
    refuse(tmp_path / "g", 'axes are swapped; correct "layout" in features.json$', skip_bad=skip_bad)
    (tmp_path / "f" / "features.json").write_text('{"dim": 4}')
    refuse(tmp_path / "f", "axes are swapped; pass --channels-first$", skip_bad=skip_bad)


def test_one_file_that_lies_the_other_way_is_no_reason_to_turn_all(tmp_path):
    for video, length in zip(VIDEOS, (9, 9, 10), strict=True):
        np.save(tmp_path / f"{video}.npy", array(length))
    np.save(tmp_path / "b.npy", array().T)
    refuse(tmp_path, "has 9 channels; expected 4, as 2 of 3 files have, if the array is .*; repair or remove it, or")


def test_two_kinds_of_features_are_told_apart(tmp_path):
    for video, channels in zip("abcde", (4, 4, 4, 6, 6), strict=True):
        np.save(tmp_path / f"{video}.npy", array(9 + channels, channels))
    told = "3 files have 4 channels, such as 'a', and 2 have 6, such as 'd'; keep one kind of features in a folder$"
    refuse(tmp_path, f"^{tmp_path}: {told}")
    assert FeatureSet.open(tmp_path, skip_bad=True).videos == ("a", "b", "c")


# what is advised


@pytest.mark.parametrize("fault", sorted(BAD.keys() - {"nan", "infinity", "width"}))
def test_to_skip_bad_files_is_not_advised_when_all_are_bad(tmp_path, fault):
    content = BAD[fault][0]
    make(tmp_path)
    for video in VIDEOS:
        spoil(tmp_path, content, video)
    refuse(tmp_path, f"a.npy: .*{BAD[fault][1]}.*; all 3 videos fail: repair or replace them$")


def test_to_skip_the_only_file_is_not_advised(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    refuse(tmp_path, r"expected \[time, channels\]; repair or replace it$")


def test_to_skip_files_is_not_advised_when_those_that_are_tried_are_bad_too(tmp_path):
    for video in "abcdef":
        np.save(tmp_path / f"{video}.npy", np.full((3, 2), np.nan if video != "a" else 1.0))
    refuse(tmp_path, "b.npy: holds NaN or infinity, .*; so do 'c' and 'd' and 'e': repair or replace them$")
    np.save(tmp_path / "d.npy", np.ones((3, 2)))
    refuse(tmp_path, "b.npy: holds NaN or infinity, .*; repair or remove it, or pass --skip-bad$")


def test_text_files_that_lie_the_other_way_are_not_skipped(tmp_path):
    for video, length in zip("abcde", range(5, 10), strict=True):
        np.savetxt(tmp_path / f"{video}.csv", array(length).T, delimiter=",")
    told = r"b.csv: has 6 channels; expected 5 \(if the arrays are \[channels, time\], pass --channels-first\); so do"
    refuse(tmp_path, told)


def test_files_of_one_length_are_not_taken_to_lie_the_other_way(tmp_path):
    for video, channels in (("a", 4), ("b", 3), ("c", 4)):
        np.save(tmp_path / f"{video}.npy", array(100, channels))
    refuse(tmp_path, "has 3 channels; expected 4, as 2 of 3 files have; repair")


def test_the_manifest_can_say_that_channels_come_first(tmp_path):
    make(tmp_path, transposed=True)
    (tmp_path / "features.json").write_text('{"layout": "CT"}')
    np.testing.assert_array_equal(FeatureSet.open(tmp_path).read("a"), expected(0))
    (tmp_path / "features.json").write_text('{"layout": "TC"}')
    refuse(tmp_path, "drop --channels-first", channels_first=True)


def test_an_unknown_video_is_named(tmp_path):
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


# several streams


def test_streams_are_joined_on_channels_in_the_widest_dtype(tmp_path):
    rgb, flow = make(tmp_path / "rgb"), make(tmp_path / "flow", ".npz", transposed=True, dtype=np.float32)
    (flow / "features.json").write_text('{"layout": "CT", "fps": 25, "encoder": "TVL1"}')
    features = FeatureSet.open([rgb, flow])
    assert features.channels == 8
    assert features.manifest == Manifest(dim=8, fps=25.0)
    for i, (video, values) in enumerate(features.items()):
        joined = np.concatenate([expected(i).astype(np.float32), expected(i, np.float32)], axis=1)
        np.testing.assert_array_equal(values, joined)
        assert features.header(video) == Header((9 + i, 8), np.dtype(np.float32))


def streams(tmp_path: Path, *lengths: tuple[int, int]) -> list[Path]:
    """Two folders of videos a, b, ... of these lengths."""
    sources = [tmp_path / "rgb", tmp_path / "flow"]
    for source, ours in zip(sources, zip(*lengths, strict=True), strict=True):
        source.mkdir(exist_ok=True)
        for video, length in zip("abcdef", ours, strict=False):
            np.save(source / f"{video}.npy", array(length, seed=length))
    return sources


@pytest.mark.parametrize("difference", [1, 2])
def test_streams_are_joined_over_the_snippets_that_all_have(tmp_path, difference):
    features = FeatureSet.open(streams(tmp_path, (9, 9), (10, 10 - difference), (9, 9 + difference)))
    assert features.shortened == {"b": (10, 10 - difference), "c": (9, 9 + difference)}
    for video, length in (("a", 9), ("b", 10 - difference), ("c", 9)):
        values = features.read(video)
        parts = [np.load(tmp_path / stream / f"{video}.npy")[:length] for stream in ("rgb", "flow")]
        np.testing.assert_array_equal(values, np.concatenate(parts, axis=1))
        assert features.header(video) == Header((length, 8), np.dtype(np.float16))
        assert features.length(video) == length


def test_lengths_that_no_header_tells_are_joined_too(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow", ".csv", dtype=np.float32)]
    np.savetxt(sources[1] / "b.csv", array(12), delimiter=",")
    features = FeatureSet.open(sources)
    assert features.shortened == {}
    assert {video: header.shape for video, header in features.headers().items()} == {
        "a": (9, 8), "b": (10, 8), "c": (11, 8),
    }  # fmt: skip
    assert features.shortened == {"b": (10, 12)}
    assert features.only(["a"]).shortened == {}


def test_streams_that_differ_by_more_are_named(tmp_path):
    sources = streams(tmp_path, (9, 9), (10, 15), (11, 11))
    refuse(
        sources,
        r"^video 'b': its streams have 10 and 15 snippets; expected lengths that differ by at most 2 "
        r"\(1 of 3 videos differ more\); repair or remove it, or pass --skip-bad$",
    )
    assert FeatureSet.open(sources, skip_bad=True).videos == ("a", "c")


@pytest.mark.parametrize("skip_bad", [False, True])
def test_streams_that_differ_in_all_videos_are_told_from_their_ratio(tmp_path, skip_bad):
    expected_ = "video 'a': its streams have {} snippets; expected lengths that differ by at most 2; {}"
    cure = "extract them from the same videos with the same stride"
    for lengths, counts, seen in (
        (((80, 40), (61, 30)), "80 and 40", "one has 2.01 times as many as another in all 2 videos: "),
        (((30, 80), (60, 65)), "30 and 80", "they differ more in all 2 videos: "),
    ):
        for source in (tmp_path / "rgb", tmp_path / "flow"):
            for path in source.glob("*.npy"):
                path.unlink()
        sources = streams(tmp_path, *lengths)
        refuse(sources, f"^{expected_.format(counts, seen)}{cure}$", skip_bad=skip_bad)


def test_unequal_lengths_that_no_header_tells_are_found_when_read(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow", ".csv", dtype=np.float32)]
    np.savetxt(sources[1] / "b.csv", array(13), delimiter=",")
    refuse(sources, "video 'b': its streams have 10 and 13 snippets; .*; repair or remove it, or pass --skip-bad$")


def test_videos_that_a_stream_lacks_are_counted(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow")]
    (sources[1] / "a.npy").unlink()
    (sources[1] / "b.npy").unlink()
    with pytest.raises(SolaError, match="flow: lacks 2 of 3 videos that other sources have, the first 'a'"):
        FeatureSet.open(sources)
    features = FeatureSet.open(sources, skip_bad=True)
    assert features.videos == ("c",)
    assert features.unreadable["b"] == f"{sources[1]}: lacks this video"


def test_streams_that_disagree_on_time_are_refused(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow")]
    for source, stride in zip(sources, (8, 16), strict=True):
        (source / "features.json").write_text(json.dumps({"stride": stride}))
    with pytest.raises(SolaError, match=r"features\.json says stride 16, another source's 8"):
        FeatureSet.open(sources)


def test_sources_that_share_no_video_are_refused(tmp_path):
    rgb, other = make(tmp_path / "rgb"), tmp_path / "other"
    other.mkdir()
    np.save(other / "z.npy", array())
    for skip_bad in (False, True):
        told = f"^{rgb} and {other}: no video has all streams, there are 'a' and 'z'; name sources of the same videos$"
        refuse([rgb, other], told, skip_bad=skip_bad)


# several streams in one folder


def renamed(folder: Path, ending: str) -> Path:
    for path in [*folder.iterdir()]:
        if not path.stem.endswith(("rgb", "flow")):
            path.rename(path.with_name(f"{path.stem}{ending}{path.suffix}"))
    return folder


def mixed(folder: Path, suffix: str = ".npy", ends: tuple[str, str] = ("_rgb", "_flow")) -> Path:
    """Two streams of a, b and c; flow is one snippet shorter."""
    folder.mkdir()
    with h5py.File(folder / "all.h5", "w") if suffix == ".h5" else nullcontext() as archive:
        for i, video in enumerate(VIDEOS):
            for ending, values in zip(ends, (expected(i), expected(i)[:-1] + 1), strict=True):
                if archive is None:
                    np.save(folder / f"{video}{ending}.npy", values)
                else:
                    archive[f"{video}{ending}"] = values
    return folder


@pytest.mark.parametrize("suffix", [".npy", ".h5"])
@pytest.mark.parametrize(
    "ends", [("_rgb", "_flow"), ("-RGB", "-Flow"), ("_rgb_i3d", "_flow_i3d"), ("_i3d_rgb", "_rgb")]
)
def test_streams_in_one_folder_are_refused_with_a_cure_that_joins_them(tmp_path, suffix, ends):
    folder = mixed(tmp_path / "f", suffix, ends)
    with pytest.raises(SolaError) as raised:
        FeatureSet.open(folder, skip_bad=True)
    told = str(raised.value)
    assert "are streams of one video; join them with --streams " in told
    assert told.endswith(", or keep one of them in a folder")
    named = told.partition("--streams ")[2].partition(",")[0].split()
    assert sorted(named) == sorted(ending[1:] for ending in ends)
    features = FeatureSet.open(folder, stream_suffixes=[ending[1:] for ending in ends])
    assert (features.videos, features.channels) == (VIDEOS, 8)
    np.testing.assert_array_equal(features.read("b"), np.concatenate([expected(1)[:-1], expected(1)[:-1] + 1], axis=1))
    assert features.shortened["b"] == (10, 9)
    assert features.locations == [str(folder)]


def test_the_message_about_streams_in_one_folder(tmp_path):
    told = "'a_rgb' and 'a_flow' are streams of one video; join them with --streams rgb flow, or keep one of them in"
    refuse(mixed(tmp_path / "f"), f"^{tmp_path}/f: {told} a folder$")


def test_streams_are_named_with_or_without_what_joins_them(tmp_path):
    folder = mixed(tmp_path / "f")
    assert FeatureSet.open(folder, stream_suffixes=["_flow", "-rgb"]).read("a")[0, 0] == expected(0)[0, 0] + 1


def test_one_stream_of_several_can_be_read(tmp_path):
    features = FeatureSet.open(mixed(tmp_path / "f"), stream_suffixes=["flow"])
    assert features.videos == VIDEOS
    np.testing.assert_array_equal(features.read("a"), expected(0)[:-1] + 1)


def test_a_folder_of_one_stream_is_read_as_it_is(tmp_path):
    folder = renamed(make(tmp_path / "f"), "_rgb")
    assert FeatureSet.open(folder).videos == ("a_rgb", "b_rgb", "c_rgb")
    plain = make(tmp_path / "plain")
    assert FeatureSet.open(plain, stream_suffixes=["rgb", "flow"]).videos == VIDEOS


def test_files_of_none_of_the_streams_are_refused(tmp_path):
    folder = mixed(tmp_path / "f")
    np.save(folder / "d.npy", array())
    refuse(folder, f"^{folder}: 'd' is of none of the streams rgb, flow; move or rename it$", ["rgb", "flow"])


def test_streams_of_folders_whose_file_names_differ_are_joined(tmp_path):
    sources = [renamed(make(tmp_path / "1"), "_rgb"), renamed(make(tmp_path / "2"), "_flow")]
    told = "no video has all streams, there are 'a_rgb' and 'a_flow'; pass --streams rgb flow$"
    refuse(sources, f"^{sources[0]} and {sources[1]}: {told}")
    features = FeatureSet.open(sources, stream_suffixes=["rgb", "flow"])
    assert (features.videos, features.channels) == (VIDEOS, 8)


def test_a_video_that_a_stream_lacks_is_named_with_the_stream(tmp_path):
    folder = mixed(tmp_path / "f")
    (folder / "b_flow.npy").unlink()
    refuse(folder, rf"^{folder} \(flow\): lacks 1 of 3 videos that other sources have, the first 'b'", ["rgb", "flow"])


# ids that contain folders


def tree(folder: Path) -> Path:
    for place in ("P1", "P2/day"):
        make(folder / place)
    return folder


def test_ids_may_contain_folders(tmp_path):
    features = FeatureSet.open(tree(tmp_path), id_from="path")
    assert features.videos == tuple(f"{place}/{video}" for place in ("P1", "P2/day") for video in VIDEOS)
    np.testing.assert_array_equal(features.read("P2/day/b"), expected(1))
    assert features.file_name("P2/day/b") == "P2/day/b.npy"


def test_a_folder_that_is_not_searched_says_how_to(tmp_path):
    told = "; pass --id-from path to read its folders, such as P1, or name one of them$"
    refuse(tree(tmp_path / "f"), rf"^{tmp_path}/f: holds no feature files \(.*\){told}")
    both = tmp_path / "both"
    make(both / "rgb"), make(both / "flow")
    refuse(both, f"; name the folders of its streams: {both}/flow {both}/rgb$")


def test_gtea_is_opened_and_matched(shared_data):
    features = FeatureSet.open(shared_data / "gtea" / "split1" / "features")
    assert len(features.videos) == 28
    assert features.channels == 128
    assert features.read(features.videos[0]).dtype == np.float16
