"""How the arrays of a source are told apart by stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sola.core.errors import SolaError
from sola.data.listing import split_streams

ENDS = ("_rgb", "-flow", "_rgb_i3d")
arrays = st.dictionaries(st.text("ab_", min_size=1, max_size=3), st.sets(st.sampled_from(ENDS), min_size=1))


@given(arrays)
def test_each_array_is_that_of_its_video_in_its_stream(ends: dict[str, set[str]]) -> None:
    source = {f"{video}{end}": (video, end[1:]) for video, some in ends.items() for end in some}
    found = split_streams("source", source, ["rgb", "flow", "rgb_i3d"])
    parts = {(video, stream): array for stream, part in found.items() for video, array in part.items()}
    assert parts == {array: array for array in source.values()}


@given(arrays)
def test_two_streams_of_a_video_are_never_two_videos(ends: dict[str, set[str]]) -> None:
    source = {f"{video}{end}": video for video, some in ends.items() for end in some}
    if max(map(len, ends.values()), default=0) < 2:
        assert split_streams("source", source) == {"": source}
        return
    with pytest.raises(SolaError, match="are streams of one video; join them with --streams"):
        split_streams("source", source)
