"""Frames of any size, pixel format and rotation become upright RGB of a fixed size."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rendering import corners, picture, render, turned

from sola.core.errors import SolaError
from sola.video.decoding import shown_frames
from sola.video.errors import BadVideo
from sola.video.framing import Framing


def frame_of(array: np.ndarray, kind: str = "rgb24") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format=kind)


def colors(array: np.ndarray) -> list[str]:
    """Return the colors of the four corners, row by row from the top left."""
    names = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (230, 230, 230)}
    high, wide = array.shape[0] // 4, array.shape[1] // 4
    spots = [array[row, column].astype(int) for row in (high, 3 * high) for column in (wide, 3 * wide)]
    return [min(names, key=lambda name: abs(spot - names[name]).sum()) for spot in spots]


def test_frame_of_the_right_size_is_unchanged() -> None:
    array = picture(3)
    np.testing.assert_array_equal(Framing(64, 96)(frame_of(array)), array)


@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    side=st.integers(1, 40),
    short=st.none() | st.integers(0, 30),
    kind=st.sampled_from(["rgb24", "yuv420p", "gray"]),
)
@settings(deadline=None, max_examples=150)
def test_any_size_becomes_the_requested_size(height: int, width: int, side: int, short: int | None, kind: str) -> None:
    framing = Framing(side, side, None if short is None else side + short)
    array = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    try:
        framed = framing(frame_of(array, kind))
    except BadVideo:
        assert max(height, width) > 64 * min(height, width)
        return
    assert framed.shape == (side, side, 3)
    assert framed.dtype == np.uint8
    assert framed.flags.c_contiguous


@given(shade=st.integers(0, 255), height=st.integers(2, 99), width=st.integers(2, 99))
@settings(deadline=None, max_examples=50)
def test_uniform_color_is_preserved(shade: int, height: int, width: int) -> None:
    framed = Framing(10, 14, 16)(frame_of(np.full((height, width, 3), shade, np.uint8)))
    assert abs(framed.astype(int) - shade).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(64, 96), (96, 64), (64, 64), (50, 131), (131, 50)])
def test_center_is_cropped_from_the_scaled_frame(height: int, width: int) -> None:
    frame = frame_of(picture(0, height, width))
    scale = Fraction(32, min(height, width))
    high, wide = max(round(height * scale), 32), max(round(width * scale), 32)
    whole = frame.to_ndarray(format="rgb24", height=high, width=wide, interpolation="BICUBIC")
    top, left = (high - 20) // 2, (wide - 28) // 2
    np.testing.assert_array_equal(Framing(20, 28, 32)(frame), whole[top : top + 20, left : left + 28])


def test_crop_keeps_the_middle_and_removes_the_sides() -> None:
    array = np.zeros((40, 120, 3), np.uint8)
    array[:, 40:80] = 200
    assert (Framing(20, 20, 20)(frame_of(array))[:, 1:-1] > 180).all()


def test_whole_frame_is_resized_without_a_short_side() -> None:
    assert colors(Framing(24, 24)(frame_of(corners()))) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "area", "lanczos"])
def test_every_interpolation_approximates_the_local_mean(interpolation: str) -> None:
    array = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    smooth = array.reshape(8, 8, 8, 8, 3).mean((1, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    framed = Framing(8, 8, interpolation=interpolation)(frame_of(smooth))
    assert abs(framed.astype(float) - smooth[4::8, 4::8]).mean() < 12


@pytest.mark.parametrize(
    "kind", ["yuv420p", "yuv422p10le", "yuv444p", "yuva420p", "nv12", "gray", "gray16le", "pal8", "bgra"]
)
def test_every_pixel_format_becomes_rgb(kind: str) -> None:
    if kind == "pal8":
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 96), np.uint8), format="gray").reformat(format="rgb8")
    else:
        frame = frame_of(corners(), kind)
    framed = Framing(16, 24)(frame)
    assert framed.shape == (16, 24, 3)
    if "gray" not in kind and kind != "pal8":
        assert colors(framed) == ["red", "green", "blue", "white"]


TURNED = {
    0: ["red", "green", "blue", "white"],
    90: ["blue", "red", "white", "green"],
    180: ["white", "blue", "green", "red"],
    270: ["green", "white", "red", "blue"],
}


@pytest.mark.parametrize("framing", [Framing(32, 32), Framing(32, 32, 32), Framing(24, 32), Framing(20, 28, 40)])
@pytest.mark.parametrize("degrees", TURNED)
def test_rotated_video_becomes_upright(degrees: int, framing: Framing, tmp_path: Path) -> None:
    path = turned(render(tmp_path / "a.mp4", pictures=[corners()] * 3), degrees)
    framed = framing(next(shown_frames(path)).frame)
    assert framed.shape == (framing.height, framing.width, 3)
    assert colors(framed) == TURNED[degrees]


@pytest.mark.parametrize("degrees", TURNED)
def test_rotated_frame_equals_the_rotated_image(degrees: int, tmp_path: Path) -> None:
    """Scaling by an integer factor and rotating commute, up to rounding."""
    path = render(tmp_path / "a.mp4", pictures=[picture(5)] * 3)
    plain = Framing(32, 48)(next(shown_frames(path)).frame)
    expected = np.rot90(plain, -degrees // 90)
    got = Framing(*expected.shape[:2])(next(shown_frames(turned(path, degrees))).frame)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("degrees", "nearest"), [(1, 0), (359, 0), (44, 0), (46, 90), (89, 90), (91, 90), (179, 180), (269, 270)]
)
def test_odd_rotation_is_rounded_to_a_quarter_turn(degrees: int, nearest: int, tmp_path: Path) -> None:
    path = turned(render(tmp_path / "a.mp4", pictures=[corners()] * 3), degrees)
    assert colors(Framing(32, 32)(next(shown_frames(path)).frame)) == TURNED[nearest]


@pytest.mark.parametrize(("height", "width"), [(2, 4096), (4096, 2), (1, 16000)])
def test_frame_that_would_take_gigabytes_is_rejected(height: int, width: int) -> None:
    with pytest.raises(BadVideo, match="expected an aspect ratio of at most 64"):
        Framing(224, 224, 224)(frame_of(np.zeros((height, width, 3), np.uint8)))


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 5), (8, 8, 7), (8, 4, 0)])
def test_invalid_sizes_are_rejected(sizes: tuple[int, ...]) -> None:
    with pytest.raises(SolaError, match="pixels"):
        Framing(*sizes)
