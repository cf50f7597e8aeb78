"""Video ids and file names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.names import file_of, id_of, split_stream


@pytest.mark.parametrize("video", ["..", "../a", "a/../../b", "/etc/a", "a//b", "", "a/", "./a", ".", "a\0b"], ids=repr)
def test_ids_that_point_outside_the_folder_are_rejected(video: str) -> None:
    with pytest.raises(SolaError) as raised:
        file_of(video, ".npy")
    assert str(raised.value) == (
        f"video {video!r}: not a valid file name; expected names joined by single slashes, without . and .."
    )


@given(st.text(st.sampled_from("a./\\~ "), max_size=8))
def test_file_is_in_its_folder_and_maps_back_to_its_id(video: str) -> None:
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
def test_stream_at_the_end_of_an_id(video: str, stream: str) -> None:
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
def test_stream_at_the_start_of_an_id(named: str, video: str, stream: str) -> None:
    assert split_stream(named) == (video, stream)
