"""Call the command line from tests."""

from typing import Any

import pytest

from sola.cli import main

SHORT_TRAINING: dict[str, Any] = {"epochs": 2, "warmup_epochs": 1, "width": 32, "quiet": True}
"""Settings of a short training of ActionFormer."""


def sola(*arguments: object) -> int:
    """Call the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Call the command, check that it exits with code 2 and prints only one line on stderr, and return the line."""
    capsys.readouterr()
    assert sola(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("sola: ")
    return line
