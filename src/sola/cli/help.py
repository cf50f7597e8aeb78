"""Layout of help texts: `--help` shows the common flags of a command, `--help-all` every flag."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cyclopts import Group
from cyclopts.help import ColumnSpec, DefaultFormatter, DescriptionRenderer, HelpEntry, HelpPanel
from cyclopts.help.specs import AsteriskColumn

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


def shown_value(value: object) -> str | None:
    """Return a value as users write it, or None for a default that help texts leave out."""
    match value:
        case None | () | False:
            return None
        case True:
            return "yes"
        case tuple():
            return " ".join(map(str, value))
        case _:
            return str(value)


def names(entry: HelpEntry) -> str:
    """Return the names of a flag, such as `--out DIR` or `--controls / --no-controls`."""
    positive = [*([entry.positional_label] if entry.positional_label else []), *entry.positive_names]
    text = ", ".join(positive)
    if entry.metavar and not entry.positional_label:
        text += f" {entry.metavar}"
    return " / ".join((text, *entry.negative_names))


def columns(console: "Console", options: "ConsoleOptions", entries: list[HelpEntry]) -> tuple[ColumnSpec, ...]:
    """Return the columns of a panel: required, names, description."""
    name = ColumnSpec(names, style="cyclopts.name", max_width=math.ceil(console.width * 0.4), overflow="fold")
    description = ColumnSpec(DescriptionRenderer(), overflow="fold")
    required = (AsteriskColumn,) if any(entry.required for entry in entries) else ()
    return (*required, name, description)


class SecondaryFormatter(DefaultFormatter):
    """Formatter of groups that only `--help-all` shows."""

    shown = False

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: HelpPanel) -> None:
        """Print the panel with `--help-all`, and nothing with `--help`."""
        if self.shown:
            super().__call__(console, options, panel)


FORMATTER = DefaultFormatter(column_specs=columns)
"""Formatter of the groups that `--help` shows."""
SECONDARY = SecondaryFormatter(column_specs=columns)
HELP_ALL = "--help-all"
CONTINUED = " \\"


def secondary(name: str, sort_key: int, help: str = "") -> Group:
    """Return a group of flags that only `--help-all` shows."""
    return Group(name, help=help, sort_key=sort_key, help_formatter=SECONDARY)


def choose_help(arguments: Sequence[str]) -> list[str]:
    """Replace `--help-all` by `--help`, and set whether help shows secondary groups."""
    SECONDARY.shown = HELP_ALL in arguments
    return ["--help" if argument == HELP_ALL else argument for argument in arguments]


def epilogue(command: str, examples: str, *, more: bool = True) -> str:
    """Return the end of a command's help: its examples, and with `more` a pointer to `--help-all`."""
    text = "Examples:\n\n" + "\n".join(map(wrapped, examples.splitlines()))
    return f"{text}\n\nMore flags: sola {command} {HELP_ALL}" if more else text


def wrapped(example: str, width: int = 78) -> str:
    """Return a command line in lines of at most `width` characters, continued by backslashes."""
    lines = [""]
    for part in re.split(r" (?=--)", example):
        if lines[-1] and len(lines[-1]) + 1 + len(part) + len(CONTINUED) > width:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}" if lines[-1] else part
    return f"{CONTINUED}\n".join(lines)
