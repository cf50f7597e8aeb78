"""How tests call the command."""

import pytest

from sola.cli import main


def sola(*arguments: object) -> int:
    """Call the command in this process; its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Call the command, which must exit with 2 after one line on stderr and nothing on stdout; the line."""
    capsys.readouterr()
    assert sola(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("sola: ")
    return line
