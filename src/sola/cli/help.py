"""The layout of help texts: names of flags, and defaults."""

import math
from typing import TYPE_CHECKING

from cyclopts.help import ColumnSpec, DefaultFormatter, DescriptionRenderer, HelpEntry
from cyclopts.help.specs import AsteriskColumn

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


def shown_value(value: object) -> str | None:
    """Return a value as users write it; None for one that help texts do not show as a default."""
    match value:
        case None | ():
            return None
        case bool():
            return "yes" if value else "no"
        case tuple():
            return " ".join(map(str, value))
        case _:
            return str(value)


def names(entry: HelpEntry) -> str:
    """Return the names of a flag, such as `--out DIR` or `--quiet / --no-quiet`."""
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


FORMATTER = DefaultFormatter(column_specs=columns)
"""Of every help text."""
