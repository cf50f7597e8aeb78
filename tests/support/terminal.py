"""A pseudo-terminal that replaces stderr."""

import os
import pty
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest


class Terminal:
    """Raw output of a terminal; `text` is set when the terminal is closed."""

    text = ""

    def screen(self) -> list[str]:
        """Return the non-empty lines on the screen. Applies carriage return, cursor up and erase line; drops styles."""
        lines, row, column, rest = [""], 0, 0, self.text
        while rest:
            if rest.startswith("\x1b["):
                end = next(index for index, letter in enumerate(rest) if index > 1 and letter.isalpha())
                code, count, rest = rest[end], rest[2:end], rest[end + 1 :]
                if code == "A":
                    row = max(row - int(count or 1), 0)
                elif code == "K":
                    lines[row] = ""
            elif rest[0] in "\r\n":
                row, column = row + (rest[0] == "\n"), 0 if rest[0] == "\r" else column
                lines += [""] * (row + 1 - len(lines))
                rest = rest[1:]
            else:
                lines[row] = f"{lines[row]:<{column}}"[:column] + rest[0] + lines[row][column + 1 :]
                column, rest = column + 1, rest[1:]
        return [line for line in lines if line]


@contextmanager
def terminal(patch: pytest.MonkeyPatch, width: int = 80) -> Iterator[Terminal]:
    """Replace stderr with a terminal of `width` columns; its output is available when the context exits."""
    patch.setenv("TERM", "xterm")
    patch.setenv("COLUMNS", str(width))
    patch.setenv("LINES", "24")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        patch.delenv(name, raising=False)
    screen, chunks = Terminal(), []
    leader, follower = pty.openpty()
    attributes = termios.tcgetattr(follower)
    attributes[1] &= ~termios.OPOST  # pass bytes through unchanged
    termios.tcsetattr(follower, termios.TCSANOW, attributes)

    def read() -> None:
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # Linux reports end of file this way
                return
            if not chunk:
                return
            chunks.append(chunk)

    reader = Thread(target=read)
    reader.start()
    try:
        with os.fdopen(follower, "w", encoding="utf-8", buffering=1) as stream, patch.context() as inner:
            inner.setattr(sys, "stderr", stream)
            yield screen
    finally:
        reader.join()
        os.close(leader)
        screen.text = b"".join(chunks).decode().replace("\n", "\r\n")
