"""Messages for the user, as plain lines on stderr.

Library code does not print. It logs: `logging.getLogger(__name__).info("...")`. A command calls `show_log` to show
those messages; without it, Python shows warnings only.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sola.core.launch import leads


def show_log(quiet: bool = False) -> None:
    """Show the messages of this package on stderr, one unwrapped line each; `quiet` shows warnings and errors only.

    Of several processes that a launcher started, only the first shows them. A second call replaces the first.
    """
    logger = logging.getLogger("sola")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(_lines)  # adds it once


@contextmanager
def lines_through(write: Callable[[str], None]) -> Iterator[None]:
    """Write lines with `write` inside the context: a progress bar on the screen has to make room for them."""
    outer, _lines.write = _lines.write, write
    try:
        yield
    finally:
        _lines.write = outer


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class _Lines(logging.Handler):
    """Writes a record's message as one line: no level, no time, no markup."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], None] = _to_stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, in the leading process only."""
        if leads():
            self.write(" ".join(self.format(record).split()))


_lines = _Lines()
