"""Progress bar for commands and training."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sola.core.launch import leads
from sola.core.log import lines_through

SPEED_PERIOD = 600.0
"""Averaging window (seconds) for the time estimate; long, because an epoch or a video may take minutes."""


class ProgressBar:
    """One or more lines of progress; see `progress_bar`."""

    def __init__(self, progress: Progress, description: str) -> None:
        self._progress, self._first = progress, description
        self._lines: dict[str, TaskID] = {}
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the bar was created."""
        return time.monotonic() - self._began

    def update(self, completed: float, total: float | None = None, note: str = "", *, line: str | None = None) -> None:
        """Set the number of completed units, the total (None: unchanged) and the note next to the bar.

        `line` is the description of the line to update, added on first use. The default is the first line.
        """
        name = self._first if line is None else line
        if name not in self._lines:
            self.add(name)
        self._progress.update(self._lines[name], completed=completed, total=total, note=note)

    def add(self, line: str, *, completed: int = 0, total: float | None = None) -> None:
        """Add a line with this description below the others."""
        self._lines[line] = self._progress.add_task(line, completed=completed, total=total, note="")


@contextmanager
def progress_bar(
    description: str = "",
    *,
    total: float | None = None,
    completed: int = 0,
    unit: str = "videos",
    quiet: bool = False,
) -> Iterator[ProgressBar]:
    """Show a progress bar on stderr inside the context.

    The bar appears only on a terminal, in the leading process, and not inside another progress bar. It disappears at
    the end. Messages logged in the meantime appear above it (see `sola.core.log`).

    Args:
        description: description of the first line. If empty, each line appears on its first update.
        total: number of units, or None if not known yet.
        completed: units completed by an earlier run.
        unit: plural name of the units.
        quiet: show nothing.
    """
    console = Console(stderr=True)
    shown = not quiet and leads() and sys.stderr.isatty() and console.is_terminal and not _shown
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _Count(unit),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # results on stdout must not go through the bar
        speed_estimate_period=SPEED_PERIOD,
        disable=not shown,
    )
    bar = ProgressBar(progress, description)
    if description:
        bar.add(description, completed=completed, total=total)
    if not shown:
        yield bar
        return

    def write(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False, highlight=False, emoji=False)

    _shown.append(bar)
    try:
        with lines_through(write), progress:
            yield bar
    finally:
        _shown.remove(bar)


_shown: list[ProgressBar] = []
"""The visible bar, if any."""


class _Count(ProgressColumn):
    """Column with completed and total units, such as "3/10 videos". Fractions of a unit get one decimal."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the text for a task."""
        done = f"{task.completed:,.1f}" if isinstance(task.completed, float) else f"{task.completed:,}"
        return Text(f"{done} {self.unit}" if task.total is None else f"{done}/{task.total:,.0f} {self.unit}")
