"""Stop requests: SIGINT and SIGTERM stop a training after the current step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Stop:
    """Flag that is set when the run is asked to stop."""

    is_set: bool = False


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a stop request; a second signal has its usual effect."""
    stop = Stop()
    handlers: dict[signal.Signals, Any] = {}

    def request(number: int, _frame: Any) -> None:
        stop.is_set = True
        signal.signal(number, handlers[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            handlers[number] = signal.signal(number, request)
        except ValueError:  # not in the main thread: the caller handles signals
            break
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
