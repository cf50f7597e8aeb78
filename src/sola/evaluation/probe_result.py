"""What a probe found: a row a feature set, the paired comparisons between rows, as JSON and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from sola.evaluation.statistics import LEVEL, Difference, Summary

Kind = Literal["raw", "control", "compared"]
METRICS = {
    "roc_auc": "ROC-AUC",
    "average_precision": "AP",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "class_accuracy": "class",
}


@dataclass(frozen=True)
class Comparison:
    """ROC-AUC of one row minus that of another, on the same test videos."""

    row: str
    against: str
    difference: Difference
    p_corrected: float
    """After Holm's correction for every comparison of the same family."""

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below .05."""
        return self.p_corrected < LEVEL

    def to_json(self) -> dict[str, Any]:
        """Names, metric, difference, interval, p-values and verdict as JSON has them."""
        return {
            "row": self.row,
            "against": self.against,
            "metric": "roc_auc",
            "difference": self.difference.estimate,
            "interval": [self.difference.low, self.difference.high],
            "p": self.difference.p,
            "p_corrected": self.p_corrected,
            "significant": self.significant,
        }


@dataclass(frozen=True)
class Row:
    """One feature set: five figures on the test videos, each over the seeds, and the comparison against raw."""

    name: str
    kind: Kind
    roc_auc: Summary
    average_precision: Summary
    accuracy: Summary
    balanced_accuracy: Summary
    class_accuracy: Summary
    """Share of the action snippets whose class is right; a class that training lacks is never right."""
    versus_raw: Comparison | None = None

    def to_json(self) -> dict[str, Any]:
        """Name, kind, the five figures, the comparison against raw (null for raw itself)."""
        figures = {metric: getattr(self, metric).to_json() for metric in METRICS}
        versus_raw = None if self.versus_raw is None else self.versus_raw.to_json()
        return {"name": self.name, "kind": self.kind, **figures, "versus_raw": versus_raw}


@dataclass(frozen=True)
class ProbeResult:
    """All rows in the order raw, controls, compared; every compared row against every control; the settings."""

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    settings: Mapping[str, Any]

    @property
    def best_control(self) -> str | None:
        """The control of the highest mean ROC-AUC; None where there are no controls."""
        controls = [row for row in self.rows if row.kind == "control"]
        return max(controls, key=lambda row: row.roc_auc.mean).name if controls else None

    def row(self, name: str) -> Row:
        """Return the row of this name."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "best_control": self.best_control,
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "settings": dict(self.settings),
        }

    def table(self) -> Table:
        """Draw the figures in per cent, ± the deviation over seeds, with the corrected p-values.

        An arrow says which way a difference goes; bold is significant at .05 after correction.
        """
        best = self.best_control
        against_best = {c.row: c for c in self.comparisons if c.against == best}
        table = Table(title="Linear evaluation on the test videos, %", caption=self._caption())
        table.add_column("features", no_wrap=True)
        for title in METRICS.values():
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("p, raw", justify="right", no_wrap=True)
        if against_best:
            table.add_column("p, best control", justify="right", no_wrap=True)
        for row, following in zip(self.rows, (*self.rows[1:], None), strict=True):
            name = escape(f"{row.name} (best control)" if row.name == best else row.name)
            cells = [_percent(getattr(row, metric)) for metric in METRICS]
            cells.append(_verdict(row.versus_raw))
            if against_best:
                cells.append(_verdict(against_best.get(row.name)))
            table.add_row(name, *cells, end_section=following is not None and following.kind != row.kind)
        return table

    def _caption(self) -> str:
        s = self.settings
        labels = "all labels" if s["videos"] is None else f"labels of {s['videos']} videos"
        floor = s["p_values"]["smallest"]
        held = f" (of so few none is below {floor:.3f})" if floor >= 0.001 else ""
        return (
            f"{s['solver']}, {labels}, {s['seeds']} seed{'s' if s['seeds'] > 1 else ''}, "
            f"{s['test_videos']} test videos; p: of ROC-AUC, paired bootstrap over them{held}, "
            "Holm-corrected; the best control is the best on these same videos"
        )


def _percent(summary: Summary) -> str:
    spread = f" ± {100 * summary.std:.2f}" if summary.std else ""
    return f"{100 * summary.mean:.2f}{spread}"


def _verdict(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    arrow = "↑" if comparison.difference.estimate > 0 else "↓" if comparison.difference.estimate < 0 else "="
    p = comparison.p_corrected
    text = f"{arrow} {'<.001' if p < 0.001 else f'{p:.3f}'.removeprefix('0')}"
    return f"[bold]{text}[/bold]" if comparison.significant else text
