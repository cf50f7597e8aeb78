"""Result of linear evaluation, as printed by `sola probe`."""

from io import StringIO
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sola.evaluation.results import Comparison, Metric, Results
from sola.evaluation.tables import arrow, mean_and_std, row_name, seeds_text

METRICS = (
    Metric("roc_auc", "ROC-AUC"),
    Metric("average_precision", "AP"),
    Metric("accuracy", "accuracy"),
    Metric("balanced_accuracy", "balanced"),
    Metric("class_accuracy", "class"),
)
"""Metrics of linear evaluation.

Class accuracy is the share of action snippets whose predicted class is one of the snippet's annotated classes. Classes
that are absent from training are never predicted correctly.
"""


COMPARED = ("roc_auc", "class_accuracy")
"""Metrics with comparisons between rows."""


class PrintableTable(Table):
    """A rich table that `str` formats as plain text."""

    def __str__(self) -> str:
        text = StringIO()
        Console(file=text, width=150).print(self)
        return text.getvalue()


class ProbeResult(Results, frozen=True, kw_only=True):
    """Result of `probe`: rows in the order raw, controls, compared, and comparisons in the metrics `COMPARED`.

    All rows are compared with raw, and all compared rows with every control.
    """

    settings: dict[str, Any]

    def versus_raw(self, row: str) -> Comparison | None:
        """Return the comparison of a row's ROC-AUC with raw, or None for raw itself."""
        return self.comparison(row, self.rows[0].name, "roc_auc")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serializable dictionary."""
        raw = self.rows[0].name
        values = msgspec.to_builtins(self)
        versus_raw = {c["row"]: c for c in values["comparisons"] if c["against"] == raw and c["metric"] == "roc_auc"}
        return {
            "rows": [
                {
                    "name": row["name"],
                    "kind": row["kind"],
                    **row["summaries"],
                    "versus_raw": versus_raw.get(row["name"]),
                }
                for row in values["rows"]
            ],
            "best_control": self.best_control("roc_auc"),
            "comparisons": [c for c in values["comparisons"] if c not in versus_raw.values()],
            "settings": self.settings,
        }

    def table(self) -> PrintableTable:
        """Return a table for the terminal, in percent. Arrows show the sign of differences, bold if significant."""
        best = self.best_control("roc_auc")
        against = {self.rows[0].name: "p, raw"}
        if best is not None and any(comparison.against == best for comparison in self.comparisons):
            against[best] = "p, best control"
        table = PrintableTable(title="Linear evaluation on the test videos, %", caption=self._caption())
        table.add_column("features", no_wrap=True)
        for title in (*(metric.title for metric in self.metrics), *against.values()):
            table.add_column(title, justify="right", no_wrap=True)
        for row, following in zip(self.rows, (*self.rows[1:], None), strict=True):
            cells = [mean_and_std(row.summaries[metric.key]) for metric in self.metrics]
            cells += [arrow(self.comparison(row.name, other, "roc_auc")) for other in against]
            end_section = following is not None and following.kind != row.kind
            table.add_row(escape(row_name(row, best)), *cells, end_section=end_section)
        return table

    def _caption(self) -> str:
        settings = self.settings
        labels = "all labels" if settings["videos"] is None else f"labels of {settings['videos']} videos"
        floor = settings["p_values"]["smallest"]
        limit = f" (at least {floor:.3f} for so few)" if floor >= 0.001 else ""
        units = settings["p_values"]["units"]
        resampled = "them" if units == settings["test_videos"] else f"{units} groups of them"
        return (
            f"{settings['solver']}, {labels}, {seeds_text(settings['seeds'])}, "
            f"{settings['test_videos']} test videos; p: ROC-AUC, paired bootstrap over {resampled}{limit}, "
            "Holm-corrected; the best control is chosen on the same test videos"
        )
