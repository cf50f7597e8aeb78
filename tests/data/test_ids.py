"""Which video of one file is which of another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.ids import match_videos


def test_the_same_ids_match_and_no_prefix_is_guessed_beside_them():
    match = match_videos(["a", "v_b"], ["a", "b"])
    assert match.videos == {"a": "a"}
    assert match.unmatched == ("v_b",)
    assert match.unmatched_annotated == ("b",)


@pytest.mark.parametrize("prefix", ["v_", "video_", "test-set_"])
def test_a_prefix_of_file_names_is_found(prefix):
    match = match_videos([f"{prefix}{video}" for video in ("-a_b", "_c-d", "x")], ["-a_b", "_c-d"])
    assert match.videos == {f"{prefix}-a_b": "-a_b", f"{prefix}_c-d": "_c-d"}
    assert match.prefix == prefix


def test_a_prefix_of_annotated_ids_is_found():
    match = match_videos(["a", "b"], ["v_a", "v_b", "v_c"])
    assert match.videos == {"a": "v_a", "b": "v_b"}
    assert match.unmatched_annotated == ("v_c",)


def test_a_prefix_that_is_given_is_used_beside_the_same_ids():
    match = match_videos(["a", "xb", "xa"], ["a", "b"], id_prefix="x")
    assert match.videos == {"a": "a", "xb": "b"}


@pytest.mark.parametrize("annotated", [["q"], []])
def test_no_match_is_answered_with_an_example_of_each_side(annotated):
    with pytest.raises(SolaError, match=f"'a', annotations '{(annotated or ['none'])[0]}'.*--id-prefix"):
        match_videos(["a"], annotated)


ids = st.sets(st.text("ab_-", min_size=1, max_size=5), min_size=1, max_size=5)


@given(videos=ids, annotated=ids, prefix=st.sampled_from([None, "a_", "b"]))
def test_a_match_pairs_each_video_once_and_forgets_none(videos, annotated, prefix):
    try:
        match = match_videos(videos, annotated, prefix)
    except SolaError:
        assert not videos & annotated
        return
    assert len(set(match.videos.values())) == len(match.videos)
    assert set(match.videos) | set(match.unmatched) == videos
    assert set(match.videos.values()) | set(match.unmatched_annotated) == annotated
    assert all(match.videos[video] == video for video in videos & annotated)
