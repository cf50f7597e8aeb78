"""Train a detector with the authors' program and with sola on the same features, and compare the results.

cd benchmarks && SOLA_ACTIONFORMER_REFERENCE=CLONE python -m parity.compare --model actionformer --data FEATURES
    --annotations FILE --out RESULT.json [--seeds 5] [--first-seed 0] [--snippets 1] [--set epochs=20 batch_size=4]

Both read the means of every --snippets snippets, train on the subset `training`, and detect in `validation`. The
settings are from `parity.settings`, with changes by --set. Both are evaluated by sola: average mAP at tIoU .3:.1:.7,
or AR@10, AR@100 and AUC of the proposals for BMN. Both use the same seeds, which give many equal initial weights, so
the 95 % interval of the difference is from a paired t-test. The interval of Welch's test, which assumes independence,
is shown too.

Each run is a process with one thread. Runs are sequential and alternate between the two programs. The authors'
ActionFormer and TriDet need joblib and their extension on PYTHONPATH: in CLONE/libs/utils, run `python setup.py
build_ext --build-lib FOLDER`. Runs are stored in --runs, and existing runs are not repeated.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from parity.features import ANNOTATIONS, FEATURES, write
from parity.settings import REFERENCES, settings
from parity.training import DETECTIONS, LOSSES
from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.data.detections import read_detections
from sola.evaluation.detections import evaluate, evaluate_proposals
from sola.evaluation.metrics.protocol import thresholds
from sola.evaluation.statistics import summarize

SIDES = ("ours", "authors")


def measured(model: str, run: Path, data: Dataset) -> dict[str, Any]:
    """Return the metrics of a run (percent), its losses by epoch, and its duration (seconds)."""
    detections, validation = read_detections(run / DETECTIONS), data.subset("validation")
    if model == "bmn":
        recall = evaluate_proposals(detections, validation).to_json()
        metrics = {"AR@10": 100 * recall["AR"]["10"], "AR@100": 100 * recall["AR"]["100"], "AUC": recall["AUC"]}
    else:
        tiou = thresholds(0.3, 0.7, 0.1)
        precision = evaluate(detections, validation, tiou=tiou).to_json()
        metrics = {"average mAP": 100 * precision["average_mAP"]}
        metrics |= {f"mAP@{at}": 100 * value for at, value in precision["mAP"].items()}
    return {**metrics, "detections": len(detections.table), **read_json(run / LOSSES, "losses")}


def intervals(first: list[float], second: list[float]) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the difference of the means, from the paired t-test and Welch's test."""
    tests = {"paired": stats.ttest_rel(first, second), "welch": stats.ttest_ind(first, second, equal_var=False)}
    bounds = {name: test.confidence_interval(0.95) for name, test in tests.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def comparison(rows: Mapping[str, list[dict[str, Any]]], name: str) -> dict[str, Any]:
    """Return means and deviations of a metric, the difference (sola minus authors) and its intervals."""
    values = {side: [float(row[name]) for row in rows[side]] for side in SIDES}
    ours, authors = (summarize(values[side]) for side in SIDES)
    return {
        "metric": name,
        "ours": (ours.mean, ours.std),
        "authors": (authors.mean, authors.std),
        "difference": ours.mean - authors.mean,
        **intervals(values["ours"], values["authors"]),
    }


def curves(rows: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the comparison of the training loss by epoch."""
    epochs = len(rows["ours"][0]["loss"])
    by_epoch = [{side: [{"loss": row["loss"][i]} for row in rows[side]] for side in SIDES} for i in range(epochs)]
    return [{**comparison(epoch_rows, "loss"), "epoch": i + 1} for i, epoch_rows in enumerate(by_epoch)]


def table(lines: list[dict[str, Any]], digits: int) -> str:
    """Format comparisons as a Markdown table."""
    shown = ["| | sola | authors' program | difference | 95 % interval | Welch's |", "|---|---|---|---|---|---|"]
    for line in lines:
        name = f"loss, epoch {line['epoch']}" if "epoch" in line else line["metric"]
        cells = [name, *(f"{mean:.{digits}f} ± {std:.{digits}f}" for mean, std in (line["ours"], line["authors"]))]
        cells.append(f"{line['difference']:+.{digits}f}")
        cells += [" to ".join(f"{bound:+.{digits}f}" for bound in line[kind]) for kind in ("paired", "welch")]
        shown.append(f"| {' | '.join(cells)} |")
    return "\n".join(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=REFERENCES, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--snippets", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    if not os.environ.get(REFERENCES[options.model]):
        raise SystemExit(f"set {REFERENCES[options.model]} to a clone of the authors' program")
    changes = {name: json.loads(value) for name, value in (pair.split("=") for pair in options.set)}
    config = settings(options.model, changes)
    runs = (options.runs or Path(tempfile.mkdtemp())).absolute()
    if (runs / "data").exists():
        data = Dataset.open(runs / "data" / FEATURES, runs / "data" / ANNOTATIONS)
    else:
        data = write(Dataset.open(options.data, options.annotations), options.snippets, runs / "data")
    if len(data.subset("training")) % config.batch_size:
        raise SystemExit(f"{len(data.subset('training'))} training videos: expected a multiple of the batch size")
    rows: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    loads = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for side in SIDES:
            out = runs / f"{side}-{seed}"
            if not (out / LOSSES).exists():
                loads.append(os.getloadavg()[0])
                arguments = [side, options.model, runs / "data", seed, json.dumps(changes), out]
                subprocess.run(
                    [sys.executable, "-m", "parity.training", *map(str, arguments)],
                    check=True,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            rows[side].append(measured(options.model, out, data))
            print(side, seed, {name: np.round(value, 2) for name, value in rows[side][-1].items() if name != "loss"})
    metrics = [name for name in rows["ours"][0] if name not in ("loss", "seconds", "detections")]
    lines, losses = [comparison(rows, name) for name in metrics], curves(rows)
    result = {
        "command": sys.argv[1:],
        "settings": dataclasses.asdict(config),
        "load": loads,
        "comparison": lines,
        "loss": losses,
        "runs": rows,
    }
    write_json(options.out, result)
    shown = sorted({*range(0, len(losses), max(1, len(losses) // 6)), len(losses) - 1})
    print(table(lines, 2), table([losses[at] for at in shown], 4), sep="\n\n")


if __name__ == "__main__":
    main()
