"""Self-contained HTML page with text, tables and plots, readable offline."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from sola.core.files import write_text
from sola.report.explorer import Explorer
from sola.report.saving import inline_svg

SCRIPTS = ("explorer_view.js", "explorer_timeline.js", "explorer_map.js", "explorer.js")
"""Scripts of the explorer in dependency order."""


@dataclass(frozen=True)
class Plot:
    """A plot with its text alternative."""

    figure: Figure
    description: str
    """Text alternative."""
    caption: str = ""
    folded: str = ""
    """Heading of the collapsed section with the plot; empty if the plot is always visible."""

    @property
    def svg(self) -> str:
        """The plot as an `<svg>` element."""
        return inline_svg(self.figure, self.description)


@dataclass(frozen=True)
class Cell:
    """A table cell with small text or in a lighter style."""

    main: str
    small: str = ""
    """Small text below the main text."""
    faint: bool = False
    """Lighter text. A faint first cell means that the row belongs to the row above."""


@dataclass(frozen=True)
class Finding:
    """Main result of a study, in sentences."""

    title: str
    small: str
    """Small text below the title."""
    sentences: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table with a header row. Rows whose name is in `strong` are bold."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str
    strong: Sequence[str] = ()
    groups: Mapping[int, str] = field(default_factory=dict)
    """Group headings, by the index of the first row of the group."""
    folded: str = ""
    """Heading of the collapsed section with the table; empty if the table is always visible."""


@dataclass(frozen=True)
class Section:
    """A section with a heading, paragraphs, tables and plots."""

    title: str
    paragraphs: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    anchor: str = ""
    """Target of the link at the top of the page; empty for no link."""


@dataclass(frozen=True)
class Page:
    """A report page."""

    title: str
    lead: str
    sections: Sequence[Section]
    numbers: Sequence[tuple[str, str]] = ()
    """Main numbers, shown large at the top: (value, description)."""
    colophon: Mapping[str, Any] = field(default_factory=dict)
    """Sources and versions, shown at the bottom."""
    explorer: Explorer | None = None
    appendix: Sequence[Section] = ()
    """Sections below the explorer."""

    def html(self) -> str:
        """Return the HTML of the page. All text is escaped.

        The content security policy blocks all requests, and all scripts except the explorer, identified by its digest.
        """
        environment = Environment(
            loader=PackageLoader("sola", "report/web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        script = f'"use strict";\n(() => {{\n{"".join(_part(name) for name in SCRIPTS)}}})();\n'
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return environment.get_template("page.html.jinja").render(
            page=self,
            style=_part("page.css") + (_part("explorer.css") if self.explorer is not None else ""),
            script=script,
            script_source=f"'sha256-{digest}'" if self.explorer is not None else "'none'",
        )

    def write(self, path: Path) -> None:
        """Write the page atomically."""
        write_text(path, self.html())


def _part(name: str) -> str:
    """Read a style sheet or script."""
    return resources.files("sola.report").joinpath("web", name).read_text(encoding="utf-8")
