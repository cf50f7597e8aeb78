"""Run the experiments shown in docs/results, and write a table and a JSON file for each.

    python benchmarks/study/results.py OUT --gtea GTEA --rendered SETS [--only long-1-efficientnet ...] [--jobs 2]

GTEA contains split1 to split4; SETS contains the output of `rendered.benchmark`, sfinge3d, and the data of
`sola demo` as demo. Runs are stored in OUT and are resumed after an interruption. All results are on validation videos;
the test subset of the rendered benchmark is not used.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sola.core.files import read_json, write_text

DOCS = Path(__file__).parents[2] / "docs" / "results"
DIGITS = 5
"""Decimal digits of values in JSON."""


@dataclass(frozen=True)
class Shown:
    """One experiment on one data set, and how it was shortened to save time."""

    data: str
    name: str
    options: tuple[str, ...]
    shortened: str = ""


GTEA = ("--recipe", "gtea", "--dataset", "thumos14")
RENDERED = ("--detector-recipe", "gtea")
FEW = "one seed instead of three: no spread over seeds"
NAMES = ("sectionC", "table1", "table2", "table5", "table6")
SHOWN = (
    *(Shown("gtea-split1", name, GTEA) for name in NAMES),
    *(Shown(f"gtea-split{split}", "table1", (*GTEA, "--seeds", "1"), FEW) for split in (2, 3, 4)),
    *(Shown("long-1-efficientnet", name, ("--recipe", "anet", *RENDERED)) for name in NAMES),
    Shown(
        "demo",
        "table3",
        ("--recipe", "auto", *RENDERED, "--controls", "untrained"),
        "of the controls only the untrained modules",
    ),
    Shown(
        "sfinge3d",
        "table3",
        ("--recipe", "auto", *RENDERED, "--dataset", "thumos14", "--seeds", "2", "--controls", "none"),
        "two seeds instead of three, without controls; docs/explanation/benchmark.md has them",
    ),
)


def folder_of(shown: Shown, gtea: Path, rendered: Path) -> Path:
    """Return the folder with features/ and annotations.json of an experiment's data."""
    split = shown.data.removeprefix("gtea-")
    return gtea / split if split != shown.data else rendered / shown.data


def arguments(shown: Shown, folder: Path, out: Path) -> list[str]:
    """Return the command-line arguments of `sola`."""
    where = [f"{folder}/features", "--annotations", f"{folder}/annotations.json", "--out", str(out)]
    return ["reproduce", shown.name, *where, *shown.options]


def publish(shown: Shown, out: Path) -> None:
    """Write the result of an experiment to docs/results, without local paths."""
    folder = out / shown.data / shown.name
    result = read_json(folder / "result.json", "an experiment's result")
    command = " ".join(arguments(shown, Path(shown.data), Path("OUT")))
    table = (folder / "table.md").read_text()
    title, rest = table.split("\n", 1)
    note = f"\nShortened: {shown.shortened}.\n" if shown.shortened else ""
    write_text(DOCS / shown.data / f"{shown.name}.md", f"{title}\n\n`sola {command}`\n{note}{rest}")
    published = {key: value for key, value in result.items() if key not in ("data", "linear")}
    for row in published["rows"]:
        for paths in ("features", "modules", "detectors"):
            row.pop(paths, None)
    published["command"] = f"sola {command}"
    if "linear" in result:
        published["linear"] = {"rows": result["linear"]["rows"], "comparisons": result["linear"]["comparisons"]}
    lines = json.dumps(rounded(published), indent=1)
    write_text(DOCS / shown.data / f"{shown.name}.json", lines + "\n")


def rounded(value: Any) -> Any:
    """Round all numbers to `DIGITS`."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--gtea", type=Path, required=True)
    parser.add_argument("--rendered", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="data sets to run; all by default")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    for shown in SHOWN:
        if given.only and shown.data not in given.only:
            continue
        folder = folder_of(shown, given.gtea, given.rendered)
        sola = [sys.executable, "-m", "sola", *arguments(shown, folder, given.out / shown.data), "--quiet"]
        print(f"{shown.data}, {shown.name}", flush=True)
        subprocess.run([*sola, "--jobs", str(given.jobs)], check=True, stdout=subprocess.DEVNULL)
        publish(shown, given.out)


if __name__ == "__main__":
    main()
