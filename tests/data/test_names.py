"""Files and the ids that they give."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.names import file_of, id_of, split_stream


@pytest.mark.parametrize("video", ["..", "../a", "a/../../b", "/etc/a", "a//b", "", "a/", "./a", ".", "a\0b"], ids=repr)
def test_ids_that_would_leave_the_folder_are_refused(video: str) -> None:
    with pytest.raises(SolaError) as raised:
        file_of(video, ".npy")
    assert str(raised.value) == (
        f"video {video!r}: not a valid file name; expected names joined by single slashes, without . and .."
    )


@given(st.text(st.sampled_from("a./\\~ "), max_size=8))
def test_a_file_is_in_its_folder_and_gives_its_id(video: str) -> None:
    try:
        name = file_of(video, ".npy")
    except SolaError:
        return
    assert Path("/folder", name).resolve(strict=False).is_relative_to("/folder")
    assert id_of(name, "path") == video


@pytest.mark.parametrize(
    ("video", "stream"),
    [("a_rgb", "_rgb"), ("a-FLOW", "-FLOW"), ("a_i3d_rgb", "_i3d_rgb"), ("a-rgb-i3d", "-rgb-i3d"), ("overflow", "")],
)
def test_the_stream_that_an_id_names(video: str, stream: str) -> None:
    assert split_stream(video) == (video.removesuffix(stream), stream)


@pytest.mark.parametrize(
    ("named", "video", "stream"),
    [
        ("rgb_a", "a", "rgb_"),
        ("Flow-a_b", "a_b", "Flow-"),
        ("i3d_rgb_a", "a", "i3d_rgb_"),
        ("rgb_i3d_a", "a", "rgb_i3d_"),
        ("P1/flow_a", "P1/a", "flow_"),
        ("flow_a_rgb", "flow_a", "_rgb"),
        ("rgb_", "rgb_", ""),
        ("flow_P1/a", "flow_P1/a", ""),
        ("flowers_a", "flowers_a", ""),
    ],
)
def test_the_stream_that_an_id_begins_with(named: str, video: str, stream: str) -> None:
    assert split_stream(named) == (video, stream)
