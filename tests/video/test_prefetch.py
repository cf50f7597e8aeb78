"""Prefetching in a thread: same items, same errors, and no thread left running."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sola.video.prefetch import prefetched


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@given(items=st.lists(st.none() | st.integers()), depth=st.integers(1, 5))
@settings(deadline=None)
def test_items_are_yielded_in_order(items: list[int | None], depth: int) -> None:
    assert list(prefetched(items, depth)) == items


def test_at_most_depth_items_are_computed_ahead() -> None:
    made: list[int] = []
    items = prefetched((made.append(k) or k for k in range(100)), 3)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 3 + 1  # consumed, waiting, and one in progress
    items.close()


def test_nothing_is_computed_before_the_first_request() -> None:
    made: list[int] = []
    items = prefetched((made.append(k) or k for k in range(9)), 3)
    items.close()
    time.sleep(0.05)
    assert made == []


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), MemoryError(), GeneratorExit()])
def test_error_is_raised_after_the_preceding_items(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise error

    ahead = prefetched(items(), 2)
    assert [next(ahead) for _ in range(5)] == list(range(5))
    with pytest.raises(type(error)) as caught:
        next(ahead)
    assert caught.value is error


def test_source_that_is_not_iterable() -> None:
    with pytest.raises(TypeError):
        list(prefetched(3, 2))  # type: ignore[arg-type]


def test_closing_stops_the_thread_without_a_consumer() -> None:
    items = prefetched(itertools.count(), 1)
    next(items)
    before = threading.active_count()
    items.close()
    assert threading.active_count() == before - 1


def test_error_in_the_consumer_stops_the_thread() -> None:
    def take() -> None:
        for item in prefetched(itertools.count(), 4):
            if item == 20:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        take()


def test_source_is_released_when_closed() -> None:
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            ended.set()

    ahead = prefetched(items(), 2)
    next(ahead)
    ahead.close()
    del ahead
    assert ended.wait(2.0)


def test_next_items_are_computed_while_one_is_processed() -> None:
    made = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for k in range(6):
            yield k
            made.release()

    ahead = prefetched(items(), 2)
    assert next(ahead) == 0
    for _ in range(3):  # two waiting, and one in progress
        assert made.acquire(timeout=60)
    assert list(ahead) == [1, 2, 3, 4, 5]
