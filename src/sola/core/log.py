"""Log messages as plain lines on stderr, and counts in them.

Library code logs; commands call `show_log` to display the messages.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sola.core.launch import leads


def show_log(quiet: bool = False) -> None:
    """Show the log of this package on stderr, in the leading process only; `quiet` shows only warnings and errors."""
    logger = logging.getLogger("sola")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(_lines)  # no effect if it is already added


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "video"), counted(1200, "class")
    ('1 video', '1,200 classes')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


@contextmanager
def lines_through(write: Callable[[str], None]) -> Iterator[None]:
    """Send log lines to `write` inside the context; a progress bar prints them above itself."""
    outer, _lines.write = _lines.write, write
    try:
        yield
    finally:
        _lines.write = outer


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class _Lines(logging.Handler):
    """Handler that writes each message as one plain line."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], None] = _to_stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, in the leading process only."""
        if leads():
            self.write(" ".join(self.format(record).split()))


_lines = _Lines()
