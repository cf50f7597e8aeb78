"""A result on disk: JSON, a Markdown table and pictures, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sola.core.files import replacing, write_json, write_text
from sola.report.figures import metric_bars, obedience, png, similarity_distance, training_curves
from sola.studies.outcome import main_metric, markdown
from sola.training.run import Run

RESULT = "result.json"


def write_result(result: Mapping[str, Any], folder: Path, workspace: Path) -> list[Path]:
    """Write result.json, table.md and the pictures; returns what was written, the result last."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in pictures(result, workspace).items():
        with replacing(folder / f"{name}.png") as aside:
            aside.write_bytes(png(figure))
        written.append(folder / f"{name}.png")
    write_text(folder / "table.md", markdown(result))
    write_json(folder / RESULT, result)
    return [*written, folder / "table.md", folder / RESULT]


def pictures(result: Mapping[str, Any], workspace: Path) -> dict[str, Figure]:
    """Error bars of every group's main metric; section C's curves; Table 6's traces of stability."""
    figures = {}
    groups = list(dict.fromkeys(row["group"] for row in result["rows"]))
    for group in groups:
        rows = [{**row, **row["figures"]} for row in result["rows"] if row["group"] == group]
        metric = main_metric(rows[0])
        title = next(one["title"] for one in result["metrics"] if one["key"] == metric)
        controls = [row for row in rows if row["kind"] == "control"]
        best = max(controls, key=lambda row: row[metric]["mean"])["name"] if controls else None
        name = "error-bars" if len(groups) == 1 else f"error-bars-{group}"
        figures[name] = metric_bars(rows, metric, f"{title}, {group}", best)
    if "curves" in result:
        similarity = result["curves"]["similarity"]
        figures["similarity-distance"] = similarity_distance(_lines(similarity["whole"]), _lines(similarity["windows"]))
        figures["obedience"] = obedience(_lines(result["curves"]["obedience"]))
    if result.get("stability"):
        first = {row["name"]: row["modules"][0] for row in result["rows"] if row["modules"]}
        figures["stability"] = training_curves({name: Run(workspace / run).rows() for name, run in first.items()})
    return figures


def _lines(curves: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: (np.array(x), np.array(y)) for name, (x, y) in curves.items()}
