"""A self-contained HTML page: text, tables, plots and figures in one file that opens offline."""

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
from sola.report.figures import embedded
from sola.report.plots import Chart, Dots

SCRIPTS = ("explorer_view.js", "explorer_timeline.js", "explorer_map.js", "explorer.js")
"""The explorer's parts, in the order in which they need each other."""


@dataclass(frozen=True)
class Picture:
    """A figure, what it shows, and the same for those who cannot see it."""

    figure: Figure
    caption: str
    alt: str

    @property
    def source(self) -> str:
        """The address of the image, which is inside the page."""
        return embedded(self.figure)


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than a word."""

    main: str
    small: str = ""
    """Stands below, smaller."""
    faint: bool = False
    """Not to be weighed as the others; where the first cell is, its row is shown with the one above."""


@dataclass(frozen=True)
class Finding:
    """What came out of something, in sentences."""

    title: str
    small: str
    """Stands below the title, smaller."""
    sentences: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading; a row whose name is in `strong` stands out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str
    strong: Sequence[str] = ()
    groups: Mapping[int, str] = field(default_factory=dict)
    """Headings between rows, by the number of the row that each stands above."""
    folded: str = ""
    """Where it is given, the table is folded away under it."""


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, and what is shown under them."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    dots: Sequence[Dots] = ()
    """Rows with error bars; all but the first are folded away."""
    charts: Sequence[Chart] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    anchor: str = ""
    """Where it is given, the section has a link at the top of the page."""


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    lead: str
    figures: Sequence[tuple[str, str]]
    """The two or three numbers that say it: (value, what it is)."""
    sections: Sequence[Section]
    colophon: Mapping[str, Any] = field(default_factory=dict)
    """How it was made: what is needed to make it again."""
    explorer: Explorer | None = None
    appendix: Sequence[Section] = ()
    """What comes after the explorer."""

    def html(self) -> str:
        """The page; every text is escaped, so a video called <script> is text.

        The page's policy lets the browser load nothing, and run no script but the explorer, which it knows by digest.
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
        """Write the page, whole or not at all."""
        write_text(path, self.html())


def _part(name: str) -> str:
    """A style sheet or script of ours."""
    return resources.files("sola.report").joinpath("web", name).read_text(encoding="utf-8")


def probe_table(result: Mapping[str, Any], caption: str) -> Table:
    """The rows of a probe's JSON in per cent, ± the deviation over seeds."""

    def cell(summary: Mapping[str, Any]) -> str:
        spread = f" ± {100 * summary['std']:.2f}" if summary["std"] else ""
        return f"{100 * summary['mean']:.2f}{spread}"

    metrics = ("roc_auc", "average_precision", "balanced_accuracy", "class_accuracy")
    against_best = {c["row"]: c for c in result["comparisons"] if c["against"] == result["best_control"]}
    rows = []
    for row in result["rows"]:
        name = f"{row['name']} (best control)" if row["name"] == result["best_control"] else row["name"]
        comparison = against_best.get(row["name"])
        verdict = "" if comparison is None else f"{100 * comparison['difference']:+.2f}, p {probability(comparison)}"
        rows.append((name, *(cell(row[metric]) for metric in metrics), verdict))
    return Table(
        ("features", "ROC-AUC", "AP", "balanced accuracy", "class accuracy", "ROC-AUC against the best control"),
        rows,
        caption,
        strong=[row["name"] for row in result["rows"] if row["kind"] == "compared"],
    )


def probability(comparison: Mapping[str, Any]) -> str:
    """A corrected p-value as text."""
    p = comparison["p_corrected"]
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")
