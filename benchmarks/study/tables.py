"""Print the results of the study on one subset as Markdown tables.

cd benchmarks && python -m study.tables RUNS [--part validation|testing] [--sets NAME ...] [--every-row]
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sola.core.files import read_json
from sola.evaluation.statistics import LEVEL
from sola.evaluation.tables import p_value
from study.detectors import AUTO, BASES, DETECTORS, METRICS
from study.linear import FEW, PARTS, SOLVERS, measured_at

Record = Mapping[str, Any]
PROBES = [(solver, videos) for solver in SOLVERS for videos in (None, FEW)]
PROBED = {"roc_auc": "ROC-AUC", "class_accuracy": "class accuracy"}
"""Title by key, for compared metrics of linear evaluation."""


def percent(summary: Record) -> str:
    """Format mean ± deviation over seeds, in percent."""
    spread = f" ± {100 * summary['std']:.1f}" if summary["std"] >= 0.0005 else ""
    return f"{100 * summary['mean']:.1f}{spread}"


def less(comparison: Record) -> str:
    """Format a difference in percentage points with its p-value, bold if significant."""
    text = f"{100 * comparison['difference']:+.1f} (p {p_value(comparison['p_corrected'])})".replace("-", "−")
    return f"**{text}**" if comparison["p_corrected"] < LEVEL else text


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def compared_with(record: Record, row: str, metric: str) -> dict[str, Record]:
    """Return the comparisons of a row in one metric, by name of the other row."""
    comparisons = [each for each in record["comparisons"] if each["row"] == row]
    comparisons += [each["versus_raw"] for each in record["rows"] if each["name"] == row and each.get("versus_raw")]
    return {each["against"]: each for each in comparisons if each.get("metric", metric) == metric}


def untrained_row(record: Record) -> str:
    """Return the row name of the untrained module with the configuration of `auto`."""
    return next(
        row["name"] for row in record["rows"] if row["name"] in (f"untrained direct ({AUTO})", "untrained direct")
    )


def best_control(record: Record, metric: str) -> str:
    """Return the control that is best on the evaluated videos, without untrained modules."""
    controls = [row for row in record["rows"] if row["kind"] == "control" and not row["name"].startswith("untrained")]
    return str(max(controls, key=lambda row: row[metric]["mean"])["name"])


def linear_table(records: Mapping[str, Record], metric: str) -> str:
    """Format one line per set: raw, best control, untrained module, `auto`, and the differences of `auto` to them."""
    lines = []
    for name, record in records.items():
        rows = {row["name"]: percent(row[metric]) for row in record["rows"]}
        best, untrained = best_control(record, metric), untrained_row(record)
        against = compared_with(record, AUTO, metric)
        figures = [rows["raw"], f"{rows[best]} ({best})", rows[untrained], rows[AUTO]]
        lines.append([f"`{name}`", *figures, *(less(against[other]) for other in ("raw", best, untrained))])
    header = ["set", "raw", "best control", "untrained", "`auto`", "less raw", "less best", "less untrained"]
    return markdown(header, lines)


def verdicts(records: Mapping[str, Record], metric: str) -> str:
    """Format the numbers of sets on which `auto` is significantly better or worse than raw, best control, untrained."""
    kinds = {
        "raw": lambda _: "raw",
        "the best control": lambda row: best_control(row, metric),
        "untrained": untrained_row,
    }
    parts = []
    for title, name in kinds.items():
        comparisons = [compared_with(record, AUTO, metric)[name(record)] for record in records.values()]
        significant = [each["difference"] for each in comparisons if each["p_corrected"] < LEVEL]
        ahead, behind = sum(value > 0 for value in significant), sum(value < 0 for value in significant)
        parts.append(f"{title}: ahead on {ahead}, behind on {behind}")
    return f"Significantly, of {len(records)} sets, against {'; '.join(parts)}.\n"


def every_row(records: Mapping[str, Record], metric: str) -> str:
    """Format a table with all rows and one column per set."""
    names = [row["name"] for row in next(iter(records.values()))["rows"]]
    figures = [{row["name"]: percent(row[metric]) for row in record["rows"]} for record in records.values()]
    return markdown(
        ["", *(f"`{name}`" for name in records)], [[name, *(one[name] for one in figures)] for name in names]
    )


def read_records(paths: Mapping[str, Path]) -> dict[str, Record]:
    """Return the existing records."""
    return {name: read_json(path, "study") for name, path in paths.items() if path.exists()}


def linear_tables(runs: Path, part: str, sets: Sequence[str], *, whole: bool = False) -> None:
    """Print the tables of linear evaluation, with all rows if `whole`."""
    for solver, videos in PROBES:
        records = read_records({name: measured_at(runs, name, part, solver, videos) for name in sets})
        labels = "all labels" if videos is None else f"labels of {videos} videos"
        for metric, title in PROBED.items() if records else ():
            print(f"### {solver}, {labels}: {title}\n\n{linear_table(records, metric)}\n{verdicts(records, metric)}")
            if whole:
                print(f"#### every row\n\n{every_row(records, metric)}")


def detector_tables(runs: Path, part: str, sets: Sequence[str]) -> None:
    """Print a table of detectors for each number of labeled videos and metric."""
    for videos in ("10", "all"):
        for metric in METRICS.values():
            lines = []
            for detector in DETECTORS:
                paths = {name: runs / name / f"{part}-{detector}-{videos}.json" for name in sets}
                for name, found in read_records(paths).items():
                    rows = {row["name"]: percent(row) for row in found[metric]["rows"]}
                    against = compared_with(found[metric], AUTO, metric)
                    cells = [rows.get(base, "") for base in BASES]
                    shown = [less(against[base]) if base in against else "" for base in BASES[:-1]]
                    lines.append([detector, f"`{name}`", *cells, *shown])
            if lines:
                labels = "all labels" if videos == "all" else f"labels of {videos} videos"
                header = ["detector", "set", *BASES, *(f"less {base}" for base in BASES[:-1])]
                print(f"### {metric}, {labels}\n\n{markdown(header, lines)}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the study")
    parser.add_argument("--part", choices=PARTS, default="validation")
    parser.add_argument("--sets", nargs="+", help="sets to use; all by default")
    parser.add_argument("--every-row", action="store_true", help="also print tables with all controls")
    given = parser.parse_args()
    sets = given.sets or sorted(path.name for path in given.runs.iterdir() if path.is_dir())
    linear_tables(given.runs, given.part, sets, whole=given.every_row)
    detector_tables(given.runs, given.part, sets)


if __name__ == "__main__":
    main()
