"""Sampling at a constant rate, compared with its definition."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.rendering import render

from sola.video.decoding import TimedFrame, shown_frames
from sola.video.framing import Framing
from sola.video.sampling import sampled

TINY = Framing(2, 2)


def stream(lengths: list[Fraction]) -> list[TimedFrame]:
    """Return frames with these display times, where frame n has red value n."""
    frames, begin = [], Fraction(0)
    for number, length in enumerate(lengths):
        array = np.zeros((2, 2, 3), np.uint8)
        array[..., 0] = number
        frame = av.VideoFrame.from_ndarray(array, format="rgb24")
        frames.append(TimedFrame(frame, float(begin), float(begin + length)))
        begin += length
    return frames


def numbers(shown: list[TimedFrame], fps: float) -> list[int]:
    return [int(array[0, 0, 0]) for array in sampled(shown, fps, TINY)]


def by_definition(lengths: list[Fraction], fps: Fraction) -> list[int]:
    """Sample k is the frame shown at (k + ½) / fps, and there is at least one sample."""
    edges = np.cumsum([Fraction(0), *lengths])
    found = []
    for k in range(math.ceil(sum(lengths) * fps) + 2):
        time = (k + Fraction(1, 2)) / fps
        found += [number for number in range(len(lengths)) if edges[number] <= time < edges[number + 1]]
    return found or [len(lengths) - 1]


@given(
    lengths=st.lists(st.integers(1, 500).map(lambda n: Fraction(n, 128)), min_size=1, max_size=30),
    fps=st.sampled_from([Fraction(1, 4), Fraction(1), Fraction(2), Fraction(4), Fraction(8), Fraction(64)]),
)
@example([Fraction(1, 8)] * 12, Fraction(4))
@example([Fraction(1, 8)], Fraction(4))
@settings(deadline=None)
def test_frames_are_those_shown_at_the_sample_times(lengths: list[Fraction], fps: Fraction) -> None:
    """Use binary fractions, which floats represent exactly, so that frames also change exactly at sample times."""
    assert numbers(stream(lengths), float(fps)) == by_definition(lengths, fps)


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)]
)
def test_at_the_frame_rate_of_the_video_every_frame_is_sampled_once(rate: Fraction) -> None:
    assert numbers(stream([1 / rate] * 250), float(rate)) == list(range(250))


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30)])
@pytest.mark.parametrize("times", [2, 3])
def test_at_a_multiple_of_the_frame_rate_every_frame_is_repeated(rate: Fraction, times: int) -> None:
    assert numbers(stream([1 / rate] * 100), float(rate) * times) == [n for n in range(100) for _ in range(times)]


def test_repeated_frame_is_the_same_array() -> None:
    arrays = list(sampled(stream([Fraction(1), Fraction(1, 4), Fraction(1)]), 4.0, TINY))
    assert [int(array[0, 0, 0]) for array in arrays] == [0] * 4 + [1] + [2] * 4
    assert len({id(array) for array in arrays}) == 3


def test_unsampled_frame_is_not_scaled() -> None:
    asked = []

    class Counting(Framing):
        def __call__(self, frame: av.VideoFrame) -> np.ndarray:
            asked.append(frame)
            return super().__call__(frame)

    assert len(list(sampled(stream([Fraction(1, 60)] * 120), 4.0, Counting(2, 2)))) == len(asked) == 8


def test_frames_are_decoded_on_demand() -> None:
    taken = 0

    def counted() -> Iterator[TimedFrame]:
        nonlocal taken
        for one in stream([Fraction(1)] * 5):
            taken += 1
            yield one

    frames = sampled(counted(), 1.0, TINY)
    next(frames)
    assert taken == 1


@pytest.mark.parametrize("fps", [1e-6, 0.01, 0.5])
def test_short_video_has_a_frame_at_any_rate(fps: float) -> None:
    assert numbers(stream([Fraction(1, 25)] * 3), fps) == [2]


def test_video_that_starts_late_is_sampled_like_others(tmp_path: Path) -> None:
    """At 24 fps and 4 samples per second, sample times fall on frame boundaries, so times must be exact."""
    times = np.arange(96) / 24

    def sampled_of(path: Path) -> list[int]:
        starts = []
        for shown in shown_frames(path):
            starts.append((round(shown.start * 24), shown))
        index = {id(shown.frame): number for number, shown in starts}

        class Numbering(Framing):
            def __call__(self, frame: av.VideoFrame) -> np.ndarray:
                return np.full((2, 2, 3), index[id(frame)], np.uint8)

        return [int(a[0, 0, 0]) for a in sampled((shown for _, shown in starts), 4.0, Numbering(2, 2))]

    plain = sampled_of(render(tmp_path / "a.mp4", count=96, rate=24))
    late = sampled_of(render(tmp_path / "b.ts", times=times, rate=24, first=7.0))
    assert plain == late == [3 + 6 * k for k in range(16)]
