"""Streams of one or several sources, joined along channels, and errors."""

import json
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.feature_files import VIDEOS, array, expected, make, refuse

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.data.formats.base import Header
from sola.data.manifest import Manifest


def test_streams_are_joined_along_channels_in_the_widest_dtype(tmp_path):
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
    """Write two folders of videos a, b, ... with these lengths."""
    sources = [tmp_path / "rgb", tmp_path / "flow"]
    for source, ours in zip(sources, zip(*lengths, strict=True), strict=True):
        source.mkdir(exist_ok=True)
        for video, length in zip("abcdef", ours, strict=False):
            np.save(source / f"{video}.npy", array(length, seed=length))
    return sources


@pytest.mark.parametrize("difference", [1, 2])
def test_streams_are_cut_to_the_shortest(tmp_path, difference):
    features = FeatureSet.open(streams(tmp_path, (9, 9), (10, 10 - difference), (9, 9 + difference)))
    assert features.shortened == {"b": (10, 10 - difference), "c": (9, 9 + difference)}
    for video, length in (("a", 9), ("b", 10 - difference), ("c", 9)):
        values = features.read(video)
        parts = [np.load(tmp_path / stream / f"{video}.npy")[:length] for stream in ("rgb", "flow")]
        np.testing.assert_array_equal(values, np.concatenate(parts, axis=1))
        assert features.header(video) == Header((length, 8), np.dtype(np.float16))
        assert features.length(video) == length


def test_streams_without_cheap_headers_are_cut_too(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow", ".csv", dtype=np.float32)]
    np.savetxt(sources[1] / "b.csv", array(12), delimiter=",")
    features = FeatureSet.open(sources)
    assert features.shortened == {}
    assert {video: header.shape for video, header in features.headers().items()} == {
        "a": (9, 8), "b": (10, 8), "c": (11, 8),
    }  # fmt: skip
    assert features.shortened == {"b": (10, 12)}
    assert features.only(["a"]).shortened == {}


def test_error_names_streams_of_different_length(tmp_path):
    sources = streams(tmp_path, (9, 9), (10, 15), (11, 11))
    refuse(
        sources,
        r"^video 'b': its streams have 10 and 15 snippets; expected lengths that differ by at most 2 "
        r"\(they differ too much in 1 of 3 videos\); repair or remove it, or pass --skip-bad$",
    )
    assert FeatureSet.open(sources, skip_bad=True).videos == ("a", "c")


@pytest.mark.parametrize("skip_bad", [False, True])
def test_error_for_streams_that_differ_in_all_videos_gives_their_ratio(tmp_path, skip_bad):
    expected_ = "video 'a': its streams have {} snippets; expected lengths that differ by at most 2; {}"
    cure = "extract them from the same videos with the same stride"
    for lengths, counts, seen in (
        (((80, 40), (61, 30)), "80 and 40", "one has 2.01 times as many as another in all 2 videos: "),
        (((30, 80), (60, 65)), "30 and 80", "they differ too much in all 2 videos: "),
    ):
        for source in (tmp_path / "rgb", tmp_path / "flow"):
            for path in source.glob("*.npy"):
                path.unlink()
        sources = streams(tmp_path, *lengths)
        refuse(sources, f"^{expected_.format(counts, seen)}{cure}$", skip_bad=skip_bad)


def test_unequal_lengths_without_cheap_headers_are_found_when_read(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow", ".csv", dtype=np.float32)]
    np.savetxt(sources[1] / "b.csv", array(13), delimiter=",")
    refuse(sources, "video 'b': its streams have 10 and 13 snippets; .*; repair or remove it, or pass --skip-bad$")


def test_error_counts_videos_missing_in_a_stream(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow")]
    (sources[1] / "a.npy").unlink()
    (sources[1] / "b.npy").unlink()
    with pytest.raises(SolaError, match="flow: lacks 2 of 3 videos of the other sources, such as 'a'"):
        FeatureSet.open(sources)
    features = FeatureSet.open(sources, skip_bad=True)
    assert features.videos == ("c",)
    assert features.unreadable["b"] == f"{sources[1]}: lacks this video"


def test_streams_with_different_timing_are_rejected(tmp_path):
    sources = [make(tmp_path / "rgb"), make(tmp_path / "flow")]
    for source, stride in zip(sources, (8, 16), strict=True):
        (source / "features.json").write_text(json.dumps({"stride": stride}))
    with pytest.raises(SolaError, match=r"features\.json has stride 16, but another source has 8"):
        FeatureSet.open(sources)


def test_sources_without_a_common_video_are_rejected(tmp_path):
    rgb, other = make(tmp_path / "rgb"), tmp_path / "other"
    other.mkdir()
    np.save(other / "z.npy", array())
    for skip_bad in (False, True):
        message = f"^{rgb} and {other}: no common videos, only 'a' and 'z'; pass sources of the same videos$"
        refuse([rgb, other], message, skip_bad=skip_bad)


# several streams in one folder


def renamed(folder: Path, ending: str) -> Path:
    for path in [*folder.iterdir()]:
        if not path.stem.endswith(("rgb", "flow")):
            path.rename(path.with_name(f"{path.stem}{ending}{path.suffix}"))
    return folder


def mixed(folder: Path, suffix: str = ".npy", ends: tuple[str, str] = ("_rgb", "_flow")) -> Path:
    """Write two streams of a, b and c, where flow is one snippet shorter."""
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
    "ends", [("_rgb", "_flow"), ("-RGB", "-Flow"), ("_rgb_i3d", "_flow_i3d"), ("_rgb", "_i3d_rgb")]
)
def test_error_for_streams_in_one_folder_has_a_cure_that_works(tmp_path, suffix, ends):
    folder = mixed(tmp_path / "f", suffix, ends)
    with pytest.raises(SolaError) as raised:
        FeatureSet.open(folder, skip_bad=True)
    message = str(raised.value)
    assert "are streams of the same video; join them with --streams " in message
    assert message.endswith(", or move one stream to another folder")
    named = message.partition("--streams ")[2].partition(",")[0].split()
    assert named == [ending[1:] for ending in ends]
    features = FeatureSet.open(folder, stream_suffixes=named)
    assert (features.videos, features.channels) == (VIDEOS, 8)
    np.testing.assert_array_equal(features.read("b"), np.concatenate([expected(1)[:-1], expected(1)[:-1] + 1], axis=1))
    assert features.shortened["b"] == (10, 9)
    assert features.locations == [str(folder)]


def test_message_about_streams_in_one_folder(tmp_path):
    message = (
        "'a_rgb' and 'a_flow' are streams of the same video; join them with --streams rgb flow, or move one stream to"
    )
    refuse(mixed(tmp_path / "f"), f"^{tmp_path}/f: {message} another folder$")


def test_stream_names_work_with_or_without_separator(tmp_path):
    folder = mixed(tmp_path / "f")
    assert FeatureSet.open(folder, stream_suffixes=["_flow", "-rgb"]).read("a")[0, 0] == expected(0)[0, 0] + 1


def test_one_stream_of_several_can_be_read(tmp_path):
    features = FeatureSet.open(mixed(tmp_path / "f"), stream_suffixes=["flow"])
    assert features.videos == VIDEOS
    np.testing.assert_array_equal(features.read("a"), expected(0)[:-1] + 1)


def test_folder_of_one_stream_is_read_unchanged(tmp_path):
    folder = renamed(make(tmp_path / "f"), "_rgb")
    assert FeatureSet.open(folder).videos == ("a_rgb", "b_rgb", "c_rgb")
    plain = make(tmp_path / "plain")
    assert FeatureSet.open(plain, stream_suffixes=["rgb", "flow"]).videos == VIDEOS


def test_files_of_none_of_the_streams_are_rejected(tmp_path):
    folder = mixed(tmp_path / "f")
    np.save(folder / "d.npy", array())
    refuse(folder, f"^{folder}: 'd' is in none of the streams rgb, flow; move or rename it$", ["rgb", "flow"])


def test_streams_with_different_file_names_are_joined(tmp_path):
    sources = [renamed(make(tmp_path / "1"), "_rgb"), renamed(make(tmp_path / "2"), "_flow")]
    message = "no common videos, only 'a_rgb' and 'a_flow'; pass --streams rgb flow$"
    refuse(sources, f"^{sources[0]} and {sources[1]}: {message}")
    features = FeatureSet.open(sources, stream_suffixes=["rgb", "flow"])
    assert (features.videos, features.channels) == (VIDEOS, 8)


def test_error_for_streams_at_the_start_of_names_has_a_cure_that_works(tmp_path):
    one, *two = tmp_path / "one", tmp_path / "1", tmp_path / "2"
    one.mkdir()
    for folder, stream in zip(two, ("rgb", "flow"), strict=True):
        for path in make(folder).glob("*.npy"):
            np.save(one / f"{stream}_{path.name}", np.load(path))
            path.rename(path.with_name(f"{stream}_{path.name}"))
    message = (
        "'rgb_a' and 'flow_a' are streams of the same video; join them with --streams rgb flow, or move one stream to"
    )
    refuse(one, f"^{one}: {message} another folder$")
    message = "no common videos, only 'rgb_a' and 'flow_a'; pass --streams rgb flow$"
    refuse(two, f"^{two[0]} and {two[1]}: {message}")
    for source in (one, two):
        features = FeatureSet.open(source, stream_suffixes=["rgb", "flow"])
        assert (features.videos, features.channels) == (VIDEOS, 8)


def test_error_for_folders_of_streams_has_a_cure_that_works(tmp_path):
    make(tmp_path / "rgb"), make(tmp_path / "flow")
    with pytest.raises(SolaError) as raised:
        FeatureSet.open(tmp_path, id_from="path")
    message = f"{tmp_path}: 'flow/a' and 'rgb/a' are streams of the same video; pass the folder of each stream: "
    assert str(raised.value).startswith(message)
    features = FeatureSet.open(str(raised.value).removeprefix(message).split(), id_from="path")
    assert (features.videos, features.channels) == (VIDEOS, 8)


def test_error_names_a_video_missing_in_a_stream(tmp_path):
    folder = mixed(tmp_path / "f")
    (folder / "b_flow.npy").unlink()
    refuse(folder, rf"^{folder} \(flow\): lacks 1 of 3 videos of the other sources, such as 'b'", ["rgb", "flow"])
