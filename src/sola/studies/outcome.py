"""What an experiment found: rows, paired comparisons over test videos, as JSON and as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sola.evaluation.probe_result import Kind
from sola.evaluation.statistics import LEVEL, Difference, holm, paired_difference, summarize
from sola.studies.catalog import Published
from sola.studies.measuring import Measured, Metric


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table: what was measured with every seed, and where it lies."""

    name: str
    kind: Kind
    group: str
    """Rows are compared with those of their own group: the head."""
    seeds: tuple[Measured, ...]
    published: Published | None = None
    features: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()

    def draws(self, metric: str) -> Float[np.ndarray, " draws"]:
        """The mean over the seeds under each draw of the test videos."""
        mean: Float[np.ndarray, " draws"] = np.mean([seed.draws[metric] for seed in self.seeds], axis=0)
        return mean

    def mean(self, metric: str) -> float:
        """The mean over the seeds."""
        return float(np.mean([seed.figures[metric] for seed in self.seeds]))

    def to_json(self, metrics: Sequence[Metric], comparable: bool) -> dict[str, Any]:
        """Figures with spread over seeds and interval over test videos, published ones beside them."""
        figures = {}
        for metric in metrics:
            low, high = np.quantile(self.draws(metric.key), [LEVEL / 2, 1 - LEVEL / 2])
            summary = summarize([seed.figures[metric.key] for seed in self.seeds])
            figures[metric.key] = {**summary.to_json(), "interval": [float(low), float(high)]}
        return {
            "name": self.name,
            "kind": self.kind,
            "group": self.group,
            "figures": figures,
            "published": None if self.published is None else dict(self.published),
            "comparable": comparable,
            "features": list(self.features),
            "modules": list(self.modules),
            "heads": list(self.heads),
        }


def comparisons(rows: Sequence[Row], metrics: Sequence[Metric], videos: int) -> list[dict[str, Any]]:
    """Every compared row against raw and every control, every control against raw; p by Holm within a family.

    Families are those of linear evaluation: in each group and metric, the compared rows against raw are one, the
    controls against raw another, each compared row against all controls one more.
    """
    found = []
    for metric in metrics:
        for group in dict.fromkeys(row.group for row in rows):
            inside = [row for row in rows if row.group == group]
            raw = [row for row in inside if row.kind == "raw"]
            controls = [row for row in inside if row.kind == "control"]
            compared = [row for row in inside if row.kind == "compared"]
            families = [[(a, b) for a in kind for b in raw] for kind in (controls, compared)]
            families += [[(row, control) for control in controls] for row in compared]
            for family in families:
                differences = [_difference(a, b, metric.key, videos) for a, b in family]
                corrected = holm([one.p for one in differences])
                for (a, b), one, p in zip(family, differences, corrected, strict=True):
                    found.append(
                        {
                            "row": a.name,
                            "against": b.name,
                            "metric": metric.key,
                            "difference": one.estimate,
                            "interval": [one.low, one.high],
                            "p": one.p,
                            "p_corrected": p,
                            "significant": p < LEVEL,
                        }
                    )
    return found


def _difference(a: Row, b: Row, metric: str, videos: int) -> Difference:
    return paired_difference(a.mean(metric) - b.mean(metric), a.draws(metric), b.draws(metric), videos)


def markdown(result: Mapping[str, Any]) -> str:
    """The table of a result: per cent, mean ± deviation over seeds, verdicts, and the published figures beside it."""
    metrics = result["metrics"]
    lines = [f"# {result['title']}", "", result["lead"], ""]
    head = ["", *(metric["title"] for metric in metrics), "against raw", "against the best control"]
    lines += [_line(head), _line(["---"] * len(head))]
    for row in result["rows"]:
        cells = [_percent(row["figures"][metric["key"]]) for metric in metrics]
        lines.append(_line([row["name"], *cells, *verdicts(result, row)]))
    published = [row for row in result["rows"] if row["published"]]
    if published:
        same = all(row["comparable"] for row in published)
        note = "the same annotations; the authors' features" if same else "**not comparable**: other data than these"
        lines += ["", f"Published (ActivityNet-1.3; {note}):", ""]
        keys = list(dict.fromkeys(key for row in published for key in row["published"]))
        lines += [_line(["", *keys]), _line(["---"] * (1 + len(keys)))]
        for row in published:
            reported = [row["published"].get(key) for key in keys]
            lines.append(_line([row["name"], *("" if one is None else f"{100 * one:.2f}" for one in reported)]))
    lines += ["", *(f"- {note}" for note in result["notes"])]
    return "\n".join(lines) + "\n"


def verdicts(result: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, str]:
    """A row's main metric against raw, and against the best control of its group; "significant" only where it is."""
    main = main_metric(row)
    own = [c for c in result["comparisons"] if c["row"] == row["name"] and c["metric"] == main]
    inside = [other for other in result["rows"] if other["group"] == row["group"]]
    raw = {other["name"] for other in inside if other["kind"] == "raw"}
    controls = [other for other in inside if other["kind"] == "control"]
    best = max(controls, key=lambda other: other["figures"][main]["mean"])["name"] if controls else None
    return (
        next((_verdict(c) for c in own if c["against"] in raw), ""),
        next((_verdict(c) for c in own if c["against"] == best), ""),
    )


def main_metric(row: Mapping[str, Any]) -> str:
    """What a row is judged by: what the supplement reports on average for its head."""
    return {"bmn": "AUC", "assumption": "obedience"}.get(row["group"], "average_mAP")


def _verdict(comparison: Mapping[str, Any]) -> str:
    p = comparison["p_corrected"]
    probability = "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)
    said = f"{probability}, significant" if comparison["significant"] else probability
    return f"{100 * comparison['difference']:+.2f} ({said})"


def _percent(figure: Mapping[str, Any]) -> str:
    spread = f" ± {100 * figure['std']:.2f}" if figure["std"] else ""
    return f"{100 * figure['mean']:.2f}{spread}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
