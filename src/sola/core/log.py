"""Messages for the user, as plain lines on stderr: library code logs, and commands call `show_log`."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sola.core.launch import leads


def show_log(quiet: bool = False) -> None:
    """Show the messages of this package on stderr in the leading process; `quiet` shows warnings and errors only."""
    logger = logging.getLogger("sola")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(_lines)  # adds it once


@contextmanager
def lines_through(write: Callable[[str], None]) -> Iterator[None]:
    """Write lines with `write` inside the context, as a progress bar has to."""
    outer, _lines.write = _lines.write, write
    try:
        yield
    finally:
        _lines.write = outer


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class _Lines(logging.Handler):
    """Writes a record's message as one plain line."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], None] = _to_stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, in the leading process only."""
        if leads():
            self.write(" ".join(self.format(record).split()))


_lines = _Lines()
