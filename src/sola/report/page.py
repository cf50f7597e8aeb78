"""A self-contained HTML page: text, tables and figures in one file that opens offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from sola.files import write_text
from sola.report.figures import embedded


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
class Table:
    """Rows of text under a heading; a row whose name is in `strong` stands out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    strong: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, and what is shown under them."""

    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


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

    def html(self) -> str:
        """The page; every text is escaped, so a video called <script> is text."""
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        template = resources.files("sola.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
        return environment.from_string(template).render(page=self)

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all."""
        write_text(path, self.html())


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
