"""What commands print."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sola.core.launch import leads

if TYPE_CHECKING:
    from rich.progress import Progress

TABLE_WIDTH = 150
"""Columns of a terminal that a table of results needs."""


def say(text: str) -> None:
    """Print a line for the user on stderr, in the leading process only: stdout is for results."""
    if leads():
        print(text, file=sys.stderr)


def print_wide(renderable: Any) -> None:
    """Print a table on stdout; a file, a pipe or a narrow terminal does not cut its numbers."""
    from rich.console import Console

    Console(width=max(TABLE_WIDTH, Console().width)).print(renderable)


def report_skipped(skipped: Mapping[str, str]) -> None:
    """Print how many files --skip-bad skipped, and why the first."""
    if skipped:
        video, reason = next(iter(skipped.items()))
        say(f"{len(skipped)} bad files left out, the first: {video}: {reason}")


def place_of(place: Path) -> str:
    """Return a place as users write it: a Path drops one of the two slashes of a URL."""
    from sola.pipeline.storage import Storage, is_remote

    return Storage.of(place).location if is_remote(place) else str(place)


def stderr_bar(quiet: bool) -> "Progress":
    """Return a progress bar on stderr for terminals, which vanishes when done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, disable=quiet or not console.is_terminal, transient=True)
