"""Matching of video ids between files."""

import random
import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.ids import VideoMatch, match_videos


def test_ids_with_conflicting_parts_do_not_match_if_other_ids_are_equal():
    match = match_videos(["a", "v_b", "c"], ["a", "b", "c.mp4"])
    assert match.videos == {"a": "a"}
    assert match.unmatched == ("v_b", "c")
    assert match.unmatched_annotated == ("b", "c.mp4")
    assert match.note == ""


@pytest.mark.parametrize("prefix", ["v_", "video_", "test-set_"])
def test_a_prefix_of_file_names_is_found(prefix):
    match = match_videos([f"{prefix}{video}" for video in ("-a_b", "_c-d", "x")], ["-a_b", "_c-d"])
    assert match.videos == {f"{prefix}-a_b": "-a_b", f"{prefix}_c-d": "_c-d"}
    assert match.prefix == prefix


def test_a_prefix_of_annotated_ids_is_found():
    match = match_videos(["a", "b"], ["v_a", "v_b", "v_c"])
    assert match.videos == {"a": "v_a", "b": "v_b"}
    assert match.unmatched_annotated == ("v_c",)


def test_given_prefix_is_used_in_addition_to_equal_ids():
    match = match_videos(["a", "xb", "xa"], ["a", "b"], id_prefix="x")
    assert match.videos == {"a": "a", "xb": "b"}


@pytest.mark.parametrize(
    ("video", "annotated", "how"),
    [
        ("a", "a.mp4", "the suffix '.mp4'"),
        ("a.AVI", "a", "the suffix '.AVI'"),
        ("a.avi", "a.mp4", "the suffixes '.avi' and '.mp4'"),
        ("a.b", "a.b.mkv", "the suffix '.mkv'"),
        ("a", "data/a", "the folder 'data/'"),
        ("/x/y/a", "a", "the folder '/x/y/'"),
        ("x/a", "data/a", "the folders 'x/' and 'data/'"),
        ("a", "data/a.mp4", "the folder 'data/' and the suffix '.mp4'"),
        ("a", "C:\\x y\\a.mp4", r"the folder 'C:\\x y\\' and the suffix '.mp4'"),
        ("x/a", "D:\\x\\a", r"the folders 'x/' and 'D:\\x\\'"),
        ("x/y/a", "x\\y\\a", r"/ and \ between folders"),
        ("caf\u00e9", "cafe\u0301", "Unicode normalization"),
        ("a ", "a", "surrounding spaces"),
        (" a.mp4", "a.mp4", "surrounding spaces"),
        ("a", "a.mp4 ", "the suffix '.mp4 '"),
        ("A", "a", "upper and lower case"),
        ("a.mp4", "A.MP4", "upper and lower case"),
        ("Data/a", "data/a", "upper and lower case"),
        ("Caf\u00e9 ", "cafe\u0301", "upper and lower case"),
        ("data/A .mp4", "a", "the folder 'data/', the suffix '.mp4' and upper and lower case"),
        ("v_A", "a", "the prefix 'v_' and upper and lower case"),
        ("V_a", "A", "the prefix 'v_' and upper and lower case"),
        ("a_rgb", "a", "the stream '_rgb'"),
        ("a", "a-flow", "the stream '-flow'"),
        ("rgb_a", "a", "the stream 'rgb_'"),
        ("rgb_a", "a_rgb", "the streams 'rgb_' and '_rgb'"),
        ("data/flow_a", "a.mp4", "the folder 'data/', the stream 'flow_' and the suffix '.mp4'"),
        ("a_rgb_i3d", "a.mp4", "the stream '_rgb_i3d' and the suffix '.mp4'"),
        ("v_a", "a", "the prefix 'v_'"),
        (
            "v_a_rgb",
            "data/a.webm",
            "the prefix 'v_', the folder 'data/', the stream '_rgb' and the suffix '.webm'",
        ),
    ],
)
def test_differing_ids_match_and_the_difference_is_reported(video, annotated, how):
    match = match_videos([video], [annotated])
    assert match.videos == {video: annotated}
    assert match.note == f"ids differ by {how} (features have {video!r}, annotations {annotated!r})"


@pytest.mark.parametrize("annotated", ["data/{}/cam.mp4", "C:\\data\\{}\\cam.mp4"])
def test_common_folders_are_dropped_before_folders_that_distinguish_videos(annotated):
    match = match_videos(["P1/cam", "P2/cam"], [annotated.format("P1"), annotated.format("P2")])
    assert match.videos == {"P1/cam": annotated.format("P1"), "P2/cam": annotated.format("P2")}


def test_smallest_spelling_change_that_matches_is_used():
    assert match_videos(["a", "A ", "B"], ["a ", "A", "b"]).videos == {"a": "a ", "A ": "A", "B": "b"}


@pytest.mark.parametrize("other", ["{} ", "{}e\u0301", "A{}"])
def test_remaining_ids_match_in_another_spelling(other):
    names = [unicodedata.normalize("NFC", other).strip().lower().format(i) for i in range(5)]
    others = [other.format(i) if i else name for i, name in enumerate(names)]
    assert match_videos(names, others).videos == dict(zip(names, others, strict=True))


def test_given_prefix_may_differ_in_case():
    assert match_videos(["XYa", "xyb"], ["a", "b"], "Xy").videos == {"XYa": "a", "xyb": "b"}


def test_a_stream_is_dropped_only_if_all_ids_have_it():
    with pytest.raises(SolaError, match="no video has both"):
        match_videos(["a_rgb", "b"], ["a", "c"])


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ("{}.mp4", "data/{}.mp4", "the folder 'data/' and the suffix '.mp4'"),
        ("v_{}", "v_{}.mp4", "the prefix 'v_' and the suffix '.mp4'"),
        ("train/v_{}.mp4", "val/v_{}.mp4", "the prefix 'v_', the folder 'train/' and the suffix '.mp4'"),
        ("{}", "{}.mp4", "the suffix '.mp4'"),
        ("{}", "data/{}", "the folder 'data/'"),
        ("{}", "{}_rgb", "the stream '_rgb'"),
        ("{}", "v_{}", "the prefix 'v_'"),
    ],
)
@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("swapped", [False, True])
def test_ids_with_different_differences_all_match(first, second, how, count, swapped):
    names = [f"abc{i}" for i in range(8)]
    other = [(first if i < count else second).format(name) for i, name in enumerate(names)]
    match = match_videos(other, names) if swapped else match_videos(names, other)
    assert match.videos == (dict(zip(other, names, strict=True)) if swapped else dict(zip(names, other, strict=True)))
    assert match.difference == f"ids differ by {how}"


def test_several_prefixes_are_found():
    other = [f"{'train' if i < 5 else 'val'}_abc{i}" for i in range(8)]
    names = [f"abc{i}" for i in range(8)]
    match = match_videos(names, other)
    assert match.videos == dict(zip(names, other, strict=True))
    assert match.note == (
        "ids differ by the prefix 'train_' or the prefix 'val_' (features have 'abc0', annotations 'train_abc0')"
    )


def test_single_remaining_id_matches_without_its_suffix():
    assert match_videos(["a", "b"], ["a", "b.mp4"]).videos == {"a": "a", "b": "b.mp4"}


@pytest.mark.parametrize(
    ("videos", "annotated"),
    [
        (["P1/cam", "P2/cam"], ["P1/cam", "P3/cam"]),
        (["P1/cam1", "P2/cam2"], ["P1/cam1", "P3/cam2"]),
        (["P1/cam", "cam"], ["P1/cam", "P2/cam"]),
        (["a", "b_rgb"], ["a", "b_flow"]),
        (["a", "b.mp4"], ["a", "b.avi"]),
        (["a", "S1_2"], ["a", "2", "3"]),
        (["a", "A", "b"], ["a", "c", "d"]),
        (["a", "A"], ["a", "a.mp4"]),
        (["a", "v_b", "c", "d", "e"], ["a", "b", "f", "g", "h"]),
        (["a", *"bcde", "x_1", "x_2"], ["a", *"fghij", "1", "2"]),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_other_videos_are_not_matched_if_some_ids_are_equal(videos, annotated, swapped):
    match = match_videos(annotated, videos) if swapped else match_videos(videos, annotated)
    assert match.videos == {id_: id_ for id_ in videos if id_ in annotated}


def test_features_of_some_videos_keep_their_ids():
    generator = random.Random(0)
    ids = ["".join(generator.choices(string.ascii_letters + string.digits + "_-", k=11)) for _ in range(19_328)]
    annotated, strays = ids[:19_228], ids[19_228:]
    match = match_videos([*annotated[:10_000], *strays], annotated)
    assert match.videos == {id_: id_ for id_ in annotated[:10_000]}
    assert match.unmatched == tuple(strays)


def test_given_prefix_needs_no_majority_if_some_ids_are_equal():
    assert match_videos(["a", "v_b", "c", "d", "e"], ["a", "b", "f", "g", "h"], "v_").videos == {"a": "a", "v_b": "b"}


def test_predictions_and_annotations_are_named():
    match = match_videos(["a.mp4"], ["a"], what="predictions")
    assert match.note == "ids differ by the suffix '.mp4' (predictions have 'a.mp4', annotations 'a')"


@pytest.mark.parametrize(
    ("videos", "annotated", "message"),
    [
        (
            ["cam"],
            ["P1/cam", "P2/cam"],
            "ids of features and annotations differ, and 'P1/cam' and 'P2/cam' of the annotations would both become "
            "'cam'; use the same ids in features and annotations",
        ),
        (
            ["a.mp4", "a.avi", "b"],
            ["a", "c"],
            "ids of features and annotations differ, and 'a.avi' and 'a.mp4' of the features would both become 'a'; "
            "use the same ids in features and annotations",
        ),
        (
            ["bA", "Ba"],
            ["ba"],
            "ids of features and annotations differ, and 'Ba' and 'bA' of the features would both become 'ba'; "
            "use the same ids in features and annotations",
        ),
    ],
)
def test_error_names_ids_that_would_become_equal(videos, annotated, message):
    with pytest.raises(SolaError) as raised:
        match_videos(videos, annotated)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("videos", "annotated", "prefix", "message"),
    [
        (
            ["a"],
            ["q"],
            None,
            "features have 'a', annotations 'q'; expected the same ids, up to a prefix, folders or a video suffix; "
            "check that both have the same videos",
        ),
        (
            ["a"],
            [],
            "v_",
            "features have 'a', annotations 'none'; expected the same ids, with or without the prefix 'v_'; "
            "check that both have the same videos",
        ),
        (
            ["test1"],
            ["1"],
            None,
            "features have 'test1', annotations '1'; if 'test' is a prefix on one side, pass --id-prefix=test",
        ),
    ],
)
def test_error_without_matches_has_examples_and_advice(videos, annotated, prefix, message):
    with pytest.raises(SolaError) as raised:
        match_videos(videos, annotated, prefix)
    assert str(raised.value) == f"no video has both features and annotations: {message}"


def test_advised_prefix_matches():
    assert match_videos(["test1"], ["1"], "test").videos == {"test1": "1"}


names = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "d/", "d/e/", "d\\", "f/"]),
        st.sampled_from(["", "v_", "v-", "rgb_"]),
        st.text("abA_- ", min_size=1, max_size=3),
        st.sampled_from(["", "_rgb", "-flow"]),
        st.sampled_from(["", ".mp4", ".avi"]),
    ),
)
ids = st.sets(names, min_size=1, max_size=5)
prefixes = st.sampled_from([None, "v_", "b"])


def matched(videos: set[str], annotated: set[str], prefix: str | None) -> VideoMatch | None:
    try:
        return match_videos(videos, annotated, prefix)
    except SolaError:
        return None


@given(videos=ids, annotated=ids, prefix=prefixes)
@settings(max_examples=50, deadline=None)
def test_match_pairs_each_video_exactly_once(videos, annotated, prefix):
    match = matched(videos, annotated, prefix)
    if match is None:
        assert not videos & annotated
        return
    assert len(set(match.videos.values())) == len(match.videos)
    assert set(match.videos) | set(match.unmatched) == videos
    assert set(match.videos.values()) | set(match.unmatched_annotated) == annotated
    assert all(match.videos[video] == video for video in videos & annotated)
    assert bool(match.note) == any(video != other for video, other in match.videos.items())


@given(videos=ids, annotated=ids, prefix=prefixes)
@settings(max_examples=50, deadline=None)
def test_matching_is_symmetric(videos, annotated, prefix):
    one, other = matched(videos, annotated, prefix), matched(annotated, videos, prefix)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.videos == {video: annotated for annotated, video in other.videos.items()}


@settings(max_examples=30, deadline=None)
@given(base=st.sets(st.text("ab", min_size=1), min_size=2, max_size=4), ending=st.sampled_from([".mp4", ".avi"]))
def test_ambiguous_id_is_never_matched(base, ending):
    twice = {f"{folder}{name}{ending}" for name in base for folder in ("P1/", "P2/")}
    assert matched(base, twice, None) is None
    assert matched(twice, base, None) is None
