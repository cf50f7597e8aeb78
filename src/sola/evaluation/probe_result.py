"""The result of a probe, as `sola probe` prints it."""

from typing import Any

import msgspec
from rich.table import Table

from sola.evaluation.results import Comparison, Metric, Results
from sola.evaluation.tables import probe_table

METRICS = (
    Metric("roc_auc", "ROC-AUC"),
    Metric("average_precision", "AP"),
    Metric("accuracy", "accuracy"),
    Metric("balanced_accuracy", "balanced"),
    Metric("class_accuracy", "class"),
)
"""Class accuracy is the share of action snippets whose class is right; a class absent from training is never right."""


class ProbeResult(Results, frozen=True, kw_only=True):
    """Rows in the order raw, controls, compared; every row against raw, every compared row against every control."""

    settings: dict[str, Any]

    def versus_raw(self, row: str) -> Comparison | None:
        """Comparison of a row against raw; None for raw itself."""
        return self.comparison(row, self.rows[0].name, "roc_auc")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        raw = self.rows[0].name
        values = msgspec.to_builtins(self)
        versus_raw = {one["row"]: one for one in values["comparisons"] if one["against"] == raw}
        return {
            "rows": [
                {"name": name, "kind": row["kind"], **row["summaries"], "versus_raw": versus_raw.get(name)}
                for name, row in ((row["name"], row) for row in values["rows"])
            ],
            "best_control": self.best_control("roc_auc"),
            "comparisons": [one for one in values["comparisons"] if one["against"] != raw],
            "settings": self.settings,
        }

    def table(self) -> Table:
        """Return a table for a terminal, in percent; arrows are signs of differences, bold ones significant."""
        return probe_table(self, self.settings)
