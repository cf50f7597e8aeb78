"""Prefetch the items of an iterator in another thread."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")


def prefetched(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    """Yield the items while another thread computes up to `depth` items ahead. Its errors are raised here.

    The thread stops soon after the generator is closed.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead = deque(thread.submit(next, iterator, end) for _ in range(depth + 1))
        try:
            while (item := ahead.popleft().result()) is not end:
                ahead.append(thread.submit(next, iterator, end))
                yield cast(Item, item)
        finally:
            for future in ahead:
                future.cancel()
