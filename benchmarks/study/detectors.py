"""Three detectors on raw features, the best control, SoLa with each recipe, and an untrained module.

cd benchmarks && python -m study.detectors OUT RUNS [--sets NAME ...] [--part validation|testing] [--seeds 3]
    [--detectors BMN ...] [--videos 10]

The best control is the one of linear evaluation on validation videos (ridge, all labels), by `study.linear`.
Seed i of a detector uses the features of seed i of the module and, with --videos, the i-th draw of labeled videos. The
detectors use their recipes with fewer epochs, for 80 videos of one minute, chosen with raw features on validation
videos. The last epoch is evaluated. Writes runs to RUNS/SET/detectors/, and RUNS/SET/PART-DETECTOR-LABELS.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.journal import is_finished
from sola.data.snippet_labels import label_videos
from sola.data.source import DataSource
from sola.detectors import detector_family
from sola.detectors.base import DetectorConfig
from sola.detectors.train import train_detector
from sola.evaluation.metrics.protocol import thresholds
from sola.evaluation.statistics import Resampled, compare_family, summarize
from sola.evaluation.untrained import untrained_like
from sola.report.sources import DETECTIONS
from sola.studies.measuring import Measured
from sola.studies.measuring import measure as measure_run
from sola.studies.runs import fitted, write_control, write_detector_output
from study.linear import PARTS, measured_at
from study.softening import RECIPES_SHOWN, arguments, in_parallel, labeled, set_names, softened

AUTO, UNTRAINED, CONTROL = RECIPES_SHOWN["auto"], "untrained control", "best control"
BASES = ("raw", CONTROL, RECIPES_SHOWN["anet"], UNTRAINED, AUTO)
WHOLE = ("long", "urfd", "sfinge3d", "tug")
"""Sets, by first word of the name, whose videos are rescaled as a whole; other videos are split into windows."""
DETECTORS = ("BMN", "G-TAD", "ActionFormer")
METRICS = {"average_mAP": "average mAP", "AR@100": "AR@100"}
"""Title by key, for reported metrics."""


def kind_of(name: str) -> str:
    """Return the first word of a set's name."""
    return name.split("-")[0]


def tiou_of(name: str) -> tuple[float, ...]:
    """Return the tIoU thresholds of average mAP: ActivityNet's for long actions, otherwise THUMOS14's."""
    return thresholds(0.5, 0.95, 0.05) if kind_of(name) == "long" else thresholds(0.3, 0.7, 0.1)


def detector_configs(kind: str) -> dict[str, DetectorConfig]:
    """Return configs by detector: whole videos of 100 units, or windows of 128 half-second units."""
    few = {"batch_size": 4, "epochs": 8, "decay_every": 6}
    whole = {"length": 100, "window_size": None, "window_stride": None, "max_duration": None}
    windows = {"length": 128, "window_size": 256, "window_stride": 128, "max_duration": 20}
    where: dict[str, Any] = whole if kind in WHOLE else windows
    return {
        "BMN": replace(detector_family("bmn").recipe("anet"), **few | where),
        "G-TAD": replace(detector_family("gtad").recipe("gtea"), **few | where),
        "ActionFormer": replace(
            detector_family("actionformer").recipe("gtea"), snippets_per_unit=2 if kind == "long" else 1
        ),
    }


def write_best_control(folder: Path, runs: Path) -> None:
    """Write the features of the control that is best in linear evaluation on the validation videos."""
    out = runs / folder.name / "best-control"
    if is_finished(out):
        return
    data = labeled(folder)
    measured = read_json(measured_at(runs, folder.name, "validation", "ridge", None), "a probe")
    figures = {row["name"]: row["roc_auc"]["mean"] for row in measured["rows"]}
    # untrained modules depend on the seed and have separate rows
    controls = [control for control in fitted(data.subset("training")) if not control.seeded]
    best = max(controls, key=lambda control: figures[control.name])
    write_control(data.features, best, 0, out)
    print(f"{folder.name}: the best control is {best.name!r}", flush=True)


def write_untrained(folder: Path, runs: Path, seed: int) -> Path:
    """Write the features of the untrained module for a seed."""
    out = runs / folder.name / f"untrained-{seed}"
    if not is_finished(out):
        data = labeled(folder)
        module = softened(runs, folder.name, "auto", seed).manifest.sola
        assert module is not None
        controls = fitted(data.subset("training"), untrained_like(module))
        control = next(control for control in controls if control.name == "untrained direct")
        write_control(data.features, control, seed, out)
    return out


def base_features(folder: Path, runs: Path, base: str, seed: int) -> Dataset:
    """Return the input features of a detector, with annotations."""
    features: Path | FeatureSet = folder / "features"
    if base == CONTROL:
        features = runs / folder.name / "best-control"
    elif base == UNTRAINED:
        features = runs / folder.name / f"untrained-{seed}"
    elif base != "raw":
        features = softened(runs, folder.name, next(r for r, row in RECIPES_SHOWN.items() if row == base), seed)
    return Dataset.open(features, folder / "annotations.json")


def run_of(folder: Path, runs: Path, name: str, base: str, seed: int, videos: int | None) -> Path:
    """Return the folder of a detector's run."""
    return runs / folder.name / "detectors" / f"{name}, {base}, {seed}, {videos or 'all'}"


def data_of(folder: Path, part: str) -> DataSource:
    """Return the set in `folder`, with `part` as the test subset."""
    return DataSource((folder / "features",), folder / "annotations.json", test_subset=part)


def run(folder: Path, runs: Path, name: str, base: str, seed: int, part: str, videos: int | None) -> Path:
    """Train one detector and write its detections for the videos of one subset."""
    out = run_of(folder, runs, name, base, seed, videos)
    if (out / part / DETECTIONS).is_file():
        return out
    config = replace(detector_configs(kind_of(folder.name))[name], seed=seed)
    data = base_features(folder, runs, base, seed)
    training = data.subset("training")
    if videos is not None:
        everything = label_videos(training)
        training = training.only(everything.videos[position] for position in everything.draw(videos, seed))
    detector = train_detector(training, config, out=out, resume=True, quiet=True)
    (out / part).mkdir(exist_ok=True)
    write_detector_output(data_of(folder, part), detector, data, out / part)
    return out


def measure(
    folder: Path, runs: Path, name: str, part: str, seeds: int, videos: int | None, bases: Sequence[str] = BASES
) -> Path:
    """Evaluate a detector on all feature sets, unless the result exists."""
    path = runs / folder.name / f"{part}-{name}-{videos or 'all'}.json"
    if path.exists():
        return path
    data, tiou = data_of(folder, part), tiou_of(folder.name)
    measured = {
        base: [measure_run(data, run_of(folder, runs, name, base, seed, videos) / part, tiou) for seed in range(seeds)]
        for base in bases
    }
    count = len(data.open_annotations().subset(part).videos)
    write_json(path, {title: report(key, measured, count) for key, title in METRICS.items()})
    return path


def report(key: str, found: Mapping[str, Sequence[Measured]], videos: int) -> dict[str, object]:
    """Return one metric of all feature sets over seeds, and the comparisons of `auto` with the other rows."""
    rows = {base: summarize([each.values[key] for each in seeds]) for base, seeds in found.items()}
    samples = {
        base: Resampled(rows[base].mean, np.mean([each.draws[key] for each in seeds], axis=0))
        for base, seeds in found.items()
    }
    others = [base for base in found if base != AUTO]
    compared = compare_family([(samples[AUTO], samples[other]) for other in others], videos)
    return {
        "rows": [{"name": base, **to_builtins(summary)} for base, summary in rows.items()],
        "comparisons": [
            {"row": AUTO, "against": b, "difference": d.estimate, "interval": [d.low, d.high], "p_corrected": p}
            for b, (d, p) in zip(others, compared, strict=True)
        ],
    }


def main() -> None:
    """Train missing detectors and compute missing results."""
    parser = arguments(__doc__, seeds=3)
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=DETECTORS)
    parser.add_argument(
        "--videos", type=int, help="number of labeled training videos, drawn for each seed; all by default"
    )
    parser.add_argument("--part", choices=PARTS, default="validation", help="subset for evaluation")
    given = parser.parse_args()
    folders = [given.out / name for name in set_names(given.out, given.sets)]
    runs, seeds = given.runs, range(given.seeds)
    in_parallel(write_best_control, [(folder, runs) for folder in folders], given.workers)
    in_parallel(write_untrained, [(folder, runs, seed) for folder in folders for seed in seeds], given.workers)
    jobs = [
        (folder, runs, name, base, seed, given.part, given.videos)
        for name in given.detectors
        for seed in seeds
        for folder in folders
        for base in BASES
    ]
    in_parallel(run, jobs, given.workers)
    measures = [(f, runs, name, given.part, given.seeds, given.videos) for f in folders for name in given.detectors]
    in_parallel(measure, measures, given.workers)


if __name__ == "__main__":
    main()
