"""Write what the study found on one part of the videos as Markdown tables, to standard output.

cd benchmarks && python -m rendered.study.tables RUNS [--part validation|testing] [--sets NAME ...] [--every-row]
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rendered.study.detectors import AUTO, BASES, DETECTORS, METRICS
from rendered.study.linear import FEW, PARTS, SOLVERS, measured_at
from sola.core.files import read_json
from sola.evaluation.statistics import LEVEL
from sola.evaluation.tables import p_value

Record = Mapping[str, Any]
PROBES = [(solver, videos) for solver in SOLVERS for videos in (None, FEW)]
PROBED = {"roc_auc": "ROC-AUC", "class_accuracy": "class accuracy"}
"""Title of each metric of linear evaluation that is compared, by its key."""


def percent(summary: Record) -> str:
    """Format a mean ± deviation over the seeds, in percent."""
    spread = f" ± {100 * summary['std']:.1f}" if summary["std"] >= 0.0005 else ""
    return f"{100 * summary['mean']:.1f}{spread}"


def less(comparison: Record) -> str:
    """Format a difference in points of percent with its p-value, bold if significant."""
    text = f"{100 * comparison['difference']:+.1f} (p {p_value(comparison['p_corrected'])})".replace("-", "−")
    return f"**{text}**" if comparison["p_corrected"] < LEVEL else text


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def compared_with(record: Record, row: str, metric: str) -> dict[str, Record]:
    """Return the comparisons of a row in one metric, by what it is compared with."""
    found = [one for one in record["comparisons"] if one["row"] == row]
    found += [one["versus_raw"] for one in record["rows"] if one["name"] == row and one.get("versus_raw")]
    return {one["against"]: one for one in found if one.get("metric", metric) == metric}


def likeness(record: Record) -> str:
    """Return the name of the row of `auto`'s untrained likeness."""
    return next(
        row["name"] for row in record["rows"] if row["name"] in (f"untrained direct ({AUTO})", "untrained direct")
    )


def best_control(record: Record, metric: str) -> str:
    """Return the control that is best on these very videos; untrained modules are rows of their own."""
    controls = [row for row in record["rows"] if row["kind"] == "control" and not row["name"].startswith("untrained")]
    return str(max(controls, key=lambda row: row[metric]["mean"])["name"])


def linear_table(records: Mapping[str, Record], metric: str) -> str:
    """Format a line for each set: raw, the best control there, the untrained likeness and `auto`, and differences."""
    lines = []
    for name, record in records.items():
        rows = {row["name"]: percent(row[metric]) for row in record["rows"]}
        best, untrained = best_control(record, metric), likeness(record)
        against = compared_with(record, AUTO, metric)
        figures = [rows["raw"], f"{rows[best]} ({best})", rows[untrained], rows[AUTO]]
        lines.append([f"`{name}`", *figures, *(less(against[other]) for other in ("raw", best, untrained))])
    header = ["set", "raw", "best control", "untrained", "`auto`", "less raw", "less best", "less untrained"]
    return markdown(header, lines)


def verdicts(records: Mapping[str, Record], metric: str) -> str:
    """Format on how many sets `auto` is significantly ahead of raw, the best control and its likeness, and behind."""
    kinds = {"raw": lambda _: "raw", "the best control": lambda one: best_control(one, metric), "untrained": likeness}
    said = []
    for title, name in kinds.items():
        found = [compared_with(record, AUTO, metric)[name(record)] for record in records.values()]
        sure = [one["difference"] for one in found if one["p_corrected"] < LEVEL]
        ahead, behind = sum(one > 0 for one in sure), sum(one < 0 for one in sure)
        said.append(f"{title}: ahead on {ahead}, behind on {behind}")
    return f"Significantly, of {len(records)} sets, against {'; '.join(said)}.\n"


def every_row(records: Mapping[str, Record], metric: str) -> str:
    """Format a line for each row, a column for each set."""
    names = [row["name"] for row in next(iter(records.values()))["rows"]]
    figures = [{row["name"]: percent(row[metric]) for row in record["rows"]} for record in records.values()]
    return markdown(
        ["", *(f"`{name}`" for name in records)], [[name, *(one[name] for one in figures)] for name in names]
    )


def read_records(paths: Mapping[str, Path]) -> dict[str, Record]:
    """Return the records that exist."""
    return {name: read_json(path, "study") for name, path in paths.items() if path.exists()}


def linear_tables(runs: Path, part: str, sets: Sequence[str], *, whole: bool = False) -> None:
    """Print the tables of linear evaluation, with every row if `whole`."""
    for solver, videos in PROBES:
        records = read_records({name: measured_at(runs, name, part, solver, videos) for name in sets})
        labels = "all labels" if videos is None else f"labels of {videos} videos"
        for metric, title in PROBED.items() if records else ():
            print(f"### {solver}, {labels}: {title}\n\n{linear_table(records, metric)}\n{verdicts(records, metric)}")
            if whole:
                print(f"#### every row\n\n{every_row(records, metric)}")


def detector_tables(runs: Path, part: str, sets: Sequence[str]) -> None:
    """Print a table for each number of labeled videos and metric."""
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
    parser.add_argument("runs", type=Path, help="the study's own folder")
    parser.add_argument("--part", choices=PARTS, default="validation")
    parser.add_argument("--sets", nargs="+", help="some of the sets; all by default")
    parser.add_argument("--every-row", action="store_true", help="also every control")
    given = parser.parse_args()
    sets = given.sets or sorted(path.name for path in given.runs.iterdir() if path.is_dir())
    linear_tables(given.runs, given.part, sets, whole=given.every_row)
    detector_tables(given.runs, given.part, sets)


if __name__ == "__main__":
    main()
