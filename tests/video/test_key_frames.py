"""Single frames, compared with decoding the whole file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rendering import CODECS, render

from sola.video.decoding import shown_frames
from sola.video.errors import BadVideo
from sola.video.framing import Framing
from sola.video.key_frames import key_frames

SMALL = Framing(32, 48)  # aspect ratio of the rendered videos


def slowly(path: Path, seconds: float) -> np.ndarray:
    """Return the frame shown at a time, or the first or last frame outside the video."""
    frames = list(shown_frames(path))
    wanted = next((one for one in frames if seconds < one.end), frames[-1])
    return SMALL(wanted.frame)


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_frames_are_those_shown_at_the_times(suffix: str, tmp_path: Path) -> None:
    path = render(tmp_path / f"a{suffix}", count=60)
    times = [0.0, 0.02, 0.61, 1.23, 1.72, 2.51, 2.96, 99.0]
    for time, got in zip(times, key_frames(path, times, SMALL.height), strict=True):
        np.testing.assert_array_equal(got, slowly(path, time), err_msg=f"{time} s")


@given(times=st.lists(st.floats(0, 12), max_size=3))
@settings(deadline=None, max_examples=25)
def test_frames_of_a_variable_frame_rate(times: list[float], variable: Path) -> None:
    for time, got in zip(times, key_frames(variable, times, SMALL.height), strict=True):
        np.testing.assert_array_equal(got, slowly(variable, time), err_msg=f"{time} s")


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.4, 40))
    return render(tmp_path_factory.mktemp("key") / "a.mkv", times=times - times[0], first=3.0, sound=5.0)


def test_file_that_is_not_a_video_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(BadVideo, match=r"a\.mp4"):
        key_frames(tmp_path / "a.mp4", [1.0], 32)
