"""Writes what the study found on one part of the videos as Markdown tables, to standard output.

cd benchmarks && python -m rendered.study.tables RUNS [--part validation|testing] [--sets NAME ...]
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rendered.study.detectors import BASES, DETECTORS, METRICS
from rendered.study.linear import FEW, PARTS, measured_at
from rendered.study.softening import RECIPES_SHOWN
from sola.core.files import read_json
from sola.evaluation.tables import p_value

Record = Mapping[str, Any]
PROBES = [(solver, videos) for solver in ("ridge", "sgd") for videos in (None, FEW)]
GOAL = {None: 0.02, FEW: 0.05}
"""Of ROC-AUC, by the number of labeled videos."""
AHEAD, BEHIND = 0.01, 0.05
"""Corrected p below which a row is ahead of a control, or behind it."""


def percent(summary: Record) -> str:
    """Mean ± deviation over seeds, in per cent."""
    spread = f" ± {100 * summary['std']:.1f}" if summary["std"] else ""
    return f"{100 * summary['mean']:.1f}{spread}"


def verdict(comparisons: Iterable[Record], row: str, goal: float) -> str:
    """A row against the nearest of those it is compared with, and whether the goal is reached."""
    against = [one for one in comparisons if one["row"] == row]
    nearest = min(against, key=lambda one: one["difference"])
    behind = [one for one in against if one["difference"] < 0 and one["p_corrected"] < BEHIND]
    worst = max(one["p_corrected"] for one in against)
    said = f"{100 * nearest['difference']:+.1f} (p {p_value(nearest['p_corrected'])})"
    if behind:
        return f"{said}, behind {len(behind)}"
    if worst >= AHEAD:
        return said
    return f"**{said}**" if nearest["difference"] >= goal else f"{said}, ahead"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def rows_of(record: Record, name: str) -> Record:
    found: Record = next(row for row in record["rows"] if row["name"] == name)
    return found


def summary_table(records: Mapping[str, Record], read: Callable[[Record], Record], goal: float) -> str:
    """A line a set: raw, the best control there, both recipes, and how they stand to the nearest control."""
    lines = []
    for name, record in records.items():
        controls = [row for row in record["rows"] if row["kind"] == "control"]
        best = max(controls, key=lambda row: read(row)["mean"])
        cells = [f"`{name}`", percent(read(rows_of(record, "raw"))), f"{percent(read(best))} ({best['name']})"]
        for row in RECIPES_SHOWN.values():
            cells += [percent(read(rows_of(record, row))), verdict(record["comparisons"], row, goal)]
        lines.append(cells)
    return markdown(["set", "raw", "best control", "published", "less best", "`auto`", "less best"], lines)


def full_table(records: Mapping[str, Record], read: Callable[[Record], Record]) -> str:
    """A line a row, a column a set."""
    names = [row["name"] for row in next(iter(records.values()))["rows"]]
    lines = [[name, *(percent(read(rows_of(one, name))) for one in records.values())] for name in names]
    return markdown(["", *(f"`{name}`" for name in records)], lines)


def read_records(paths: Mapping[str, Path]) -> dict[str, Record]:
    return {name: read_json(path, "study") for name, path in paths.items() if path.exists()}


def linear_tables(runs: Path, part: str, sets: Sequence[str]) -> None:
    for solver, videos in PROBES:
        records = read_records({name: measured_at(runs, name, part, solver, videos) for name in sets})
        if not records:
            continue
        labels = "all labels" if videos is None else f"labels of {videos} videos"
        print(f"### {solver}, {labels}: ROC-AUC\n\n{summary_table(records, lambda row: row['roc_auc'], GOAL[videos])}")
        print(f"#### every row\n\n{full_table(records, lambda row: row['roc_auc'])}")
        print(f"#### class accuracy\n\n{full_table(records, lambda row: row['class_accuracy'])}")


def boundary_tables(runs: Path, part: str, sets: Sequence[str]) -> None:
    records = read_records({name: runs / name / f"{part}-boundaries.json" for name in sets})
    if records:
        print(f"### boundary F1\n\n{summary_table(records, lambda row: row['f1'], 0.0)}")
        print(f"#### every row\n\n{full_table(records, lambda row: row['f1'])}")


def detector_tables(runs: Path, part: str, sets: Sequence[str]) -> None:
    for metric in METRICS.values():
        lines = []
        for detector in DETECTORS:
            for name, found in read_records({name: runs / name / f"{part}-{detector}.json" for name in sets}).items():
                record = found[metric]
                verdicts = []
                for row in RECIPES_SHOWN.values():
                    for one in (c for c in record["comparisons"] if c["row"] == row):
                        verdicts.append(f"{100 * one['difference']:+.1f} (p {p_value(one['p_corrected'])})")
                lines.append([detector, f"`{name}`", *(percent(rows_of(record, base)) for base in BASES), *verdicts])
        if lines:
            less = [f"{short} less {base}" for short in ("published", "`auto`") for base in ("raw", "control")]
            header = ["detector", "set", "raw", "control", "published", "`auto`", *less]
            print(f"### {metric}\n\n{markdown(header, lines)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the study's own folder")
    parser.add_argument("--part", choices=PARTS, default="validation")
    parser.add_argument("--sets", nargs="+", help="some of the sets; all by default")
    given = parser.parse_args()
    sets = given.sets or sorted(path.name for path in given.runs.iterdir() if path.is_dir())
    for write in (linear_tables, boundary_tables, detector_tables):
        write(given.runs, given.part, sets)


if __name__ == "__main__":
    main()
