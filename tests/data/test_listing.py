"""Streams of the arrays of a source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.listing import split_streams

ENDS = ("_rgb", "-flow", "_rgb_i3d")
arrays = st.dictionaries(st.text("ab_", min_size=1, max_size=3), st.sets(st.sampled_from(ENDS), min_size=1))


@given(arrays)
def test_arrays_are_assigned_to_streams_by_ending(ends: dict[str, set[str]]) -> None:
    source = {f"{video}{end}": (video, end[1:]) for video, some in ends.items() for end in some}
    found = split_streams("source", source, ["rgb", "flow", "rgb_i3d"])
    parts = {(video, stream): array for stream, part in found.items() for video, array in part.items()}
    assert parts == {array: array for array in source.values()}


@given(arrays)
def test_arrays_are_assigned_to_streams_by_beginning(ends: dict[str, set[str]]) -> None:
    source = {f"P1/{end[1:]}_x{video}": (f"P1/x{video}", end[1:]) for video, some in ends.items() for end in some}
    found = split_streams("source", source, ["rgb", "flow", "rgb_i3d"])
    parts = {(video, stream): array for stream, part in found.items() for video, array in part.items()}
    assert parts == {array: array for array in source.values()}


@pytest.mark.parametrize("named", ["{video}_{stream}", "{stream}_{video}", "P1/{stream}-{video}"])
@given(ends=arrays)
def test_streams_of_a_video_are_never_separate_videos_and_the_advice_works(
    named: str, ends: dict[str, set[str]]
) -> None:
    source = {
        named.format(video=f"x{video}x", stream=end[1:]): f"x{video}x" for video, some in ends.items() for end in some
    }
    if max(map(len, ends.values()), default=0) < 2:
        assert split_streams("source", source) == {"": source}
        return
    with pytest.raises(SolaError, match="are streams of the same video") as raised:
        split_streams("source", source)
    advised = str(raised.value).partition("--streams ")[2].partition(",")[0].split()
    for part in split_streams("source", source, advised).values() if advised else []:
        assert set(part.values()) == set(source.values())


def test_stream_of_few_videos_is_not_joined() -> None:
    few, half = ["a_rgb", "b_rgb", "a_flow"], ["a_rgb", "a_flow", "b_rgb", "c_flow", "d"]
    for ids, message in (
        (few, "but only 1 of 2 videos has both; read rgb alone with --streams rgb"),
        (half, "but only 1 of 4 videos has both; move one stream to another folder"),
    ):
        with pytest.raises(SolaError) as raised:
            split_streams("source", dict.fromkeys(ids))
        assert str(raised.value) == f"source: 'a_rgb' and 'a_flow' are streams of the same video, {message}"


NAME = "pass the folder of each stream: source/{} source/{}"
MOVE = "move each stream to a separate folder and pass these folders"


@pytest.mark.parametrize(
    ("ids", "cure"),
    [
        (["flow/a", "flow/P1/b", "rgb/a", "rgb/P1/b"], NAME.format("flow", "rgb")),
        (["flow/a_flow", "rgb/a_rgb"], NAME.format("flow", "rgb")),
        (["i3d/RGB_16/a", "i3d/flow_16/a"], NAME.format("i3d/RGB_16", "i3d/flow_16")),
        (["P1/flow/a", "P1/rgb/a", "P2/flow/a", "P2/rgb/a"], MOVE),
    ],
)
@pytest.mark.parametrize("streams", [(), ("rgb", "flow")])
def test_folders_of_streams_are_not_videos(ids: list[str], cure: str, streams: tuple[str, ...]) -> None:
    with pytest.raises(SolaError) as raised:
        split_streams("source", dict.fromkeys(ids), streams)
    assert str(raised.value).endswith(f" are streams of the same video; {cure}")


@pytest.mark.parametrize("ids", [["rgb/a", "flow/b"], ["P1/a", "P2/a"], ["flowers/a", "rgb/a"]])
def test_folders_of_different_videos_are_not_streams(ids: list[str]) -> None:
    assert list(split_streams("source", dict.fromkeys(ids))[""]) == ids


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a_rgb", "flow_a"], "'flow_a' is in none of the streams rgb, flow; move or rename it"),
        (["a_rgb", "a-rgb"], "'a-rgb' and another array are both rgb of video 'a'; move or rename one"),
    ],
)
def test_no_array_is_silently_skipped_or_replaced(ids: list[str], message: str) -> None:
    with pytest.raises(SolaError) as raised:
        split_streams("source", dict.fromkeys(ids), ["rgb", "flow"])
    assert str(raised.value) == f"source: {message}"
