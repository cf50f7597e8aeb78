"""Windows and their features, compared with plain loops."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.video.snippets import encoded, offset_of, windows


def frame(number: int) -> np.ndarray:
    return np.full((1, 1, 3), number % 256, np.uint8)


def definition(n: int, window: int, stride: int, offset: int | None = None) -> list[list[int]]:
    """Return ⌈n / stride⌉ windows. Window i starts at offset + i·stride, padded with the first or last frame."""
    found = []
    for i in range(-(-n // stride)):
        begin = (offset_of(window, stride) if offset is None else offset) + i * stride
        found.append([min(max(k, 0), n - 1) for k in range(begin, begin + window)])
    return found


@given(
    n=st.integers(0, 60),
    window=st.integers(1, 40),
    stride=st.integers(1, 40),
    offset=st.none() | st.integers(-50, 50),
)
@settings(deadline=None, max_examples=600)
def test_windows_equal_the_definition(n: int, window: int, stride: int, offset: int | None) -> None:
    frames = [frame(number) for number in range(n)]
    found = [list(one) for one in windows(iter(frames), window, stride, offset=offset)]
    expected = [[frames[number] for number in one] for one in definition(n, window, stride, offset)]
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        assert len(got) == window
        assert all(a is b for a, b in zip(got, wanted, strict=True))


@given(window=st.integers(1, 100), stride=st.integers(1, 100))
def test_window_is_centered_on_its_stride_frames(window: int, stride: int) -> None:
    center = offset_of(window, stride) + window / 2
    assert abs(center - stride / 2) <= 0.5
    if (window - stride) % 2 == 0:
        assert center == stride / 2


@given(n=st.integers(1, 40), window=st.integers(1, 20))
def test_windows_as_long_as_the_stride_tile_the_video(n: int, window: int) -> None:
    seen = [int(one[0, 0, 0]) for each in windows((frame(k) for k in range(n)), window, window) for one in each]
    assert seen[:n] == list(range(n))


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (16, 2), (8, 1), (1, 10), (4, 9), (5, 5)])
def test_at_most_a_window_and_a_stride_of_frames_are_in_memory(window: int, stride: int) -> None:
    alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    most = 0

    class Watched(np.ndarray):
        __hash__ = object.__hash__

    def source() -> Iterator[np.ndarray]:
        nonlocal most
        for number in range(300):
            one = frame(number).view(Watched)
            alive.add(one)
            most = max(most, len(alive))
            yield one

    for each in windows(source(), window, stride):
        del each
    assert most <= window + stride + 2  # and the window being built


def test_frames_are_read_on_demand() -> None:
    taken: list[int] = []
    snippets = windows((taken.append(k) or frame(k) for k in range(100)), 4, 2)
    next(snippets)
    assert len(taken) <= 4


def mean_of(snippets: np.ndarray) -> np.ndarray:
    return snippets.reshape(len(snippets), -1).mean(1, keepdims=True).astype(np.float32)


@given(
    lengths=st.lists(st.integers(1, 6), max_size=20),
    window=st.integers(1, 5),
    stride=st.integers(1, 5),
    batch=st.integers(1, 7),
)
@settings(deadline=None, max_examples=300)
def test_features_equal_those_of_separate_windows(lengths: list[int], window: int, stride: int, batch: int) -> None:
    frames = [one for number, length in enumerate(lengths) for one in [frame(number)] * length]
    asked: list[int] = []

    def encode(snippets: np.ndarray) -> np.ndarray:
        asked.append(len(snippets))
        return mean_of(snippets)

    pieces = list(encoded(windows(iter(frames), window, stride), encode, batch))
    got = np.concatenate([np.zeros((0, 1), np.float32), *pieces])
    expected = [mean_of(np.stack([frames[k] for k in one])[None])[0] for one in definition(len(frames), window, stride)]
    np.testing.assert_array_equal(got, np.array(expected, np.float32).reshape(-1, 1))
    assert all(size == batch for size in asked[:-1])
    assert all(0 < size <= batch for size in asked)


def test_window_of_identical_arrays_is_encoded_once() -> None:
    same, other = frame(7), frame(9)
    asked: list[int] = []

    def encode(snippets: np.ndarray) -> np.ndarray:
        asked.append(len(snippets))
        return mean_of(snippets)

    pieces = list(encoded([[one] for one in [same] * 500 + [other] + [same] * 2], encode, 2))
    assert asked == [2, 1]
    assert [len(piece) for piece in pieces] == [501, 2]


def test_equal_but_distinct_arrays_are_encoded_separately() -> None:
    """Pixels are not compared, because that is slow. Only frames repeated by the sampling are known to be equal."""
    asked: list[int] = []
    list(encoded([[frame(1)], [frame(1)]], lambda s: asked.append(len(s)) or mean_of(s), 8))
    assert asked == [2]
