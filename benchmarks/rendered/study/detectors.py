"""Three detectors on raw features, on the best control, and after SoLa with each recipe.

cd benchmarks && python -m rendered.study.detectors OUT RUNS [--sets NAME ...] [--part validation|testing] [--seeds 3]

The best control is that of linear evaluation on validation videos (ridge, all labels), from OUT/facts.json.
Seed i of a detector takes the features of seed i of the module. Detectors have the settings of their recipes, with
shorter trainings for 80 videos of a minute, chosen on raw features and validation videos; the last epoch is evaluated.
Writes RUNS/SET/detectors/ (each run) and RUNS/SET/PART-DETECTOR.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from rendered.study.linear import PARTS
from rendered.study.softening import RECIPES_SHOWN, arguments, in_parallel, set_names, softened
from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.source import DataSource
from sola.detectors import detector_family
from sola.detectors.base import DetectorConfig
from sola.detectors.train import train_detector
from sola.evaluation.metrics.protocol import thresholds
from sola.evaluation.statistics import Resampled, compare_family, summarize
from sola.report.sources import DETECTIONS
from sola.studies.measuring import Measured
from sola.studies.measuring import measure as measure_run
from sola.studies.runs import fitted, write_control, write_found

BASES = ("raw", "best control", *RECIPES_SHOWN.values())
TIOU = {"long": thresholds(0.5, 0.95, 0.05), "short": thresholds(0.3, 0.7, 0.1)}
"""tIoU thresholds of the average mAP: ActivityNet's and THUMOS14's."""
DETECTORS = ("BMN", "G-TAD", "ActionFormer")
METRICS = {"average_mAP": "average mAP", "AR@100": "AR@100"}
"""Title of each reported metric, by its key."""


def detector_configs(timeline: str) -> dict[str, DetectorConfig]:
    """Configs by name; long actions on whole videos of 100 units, short ones in windows of 128 half seconds."""
    few = {"batch_size": 4, "epochs": 8, "decay_every": 6}
    where: dict[str, Any] = (
        {} if timeline == "long" else {"length": 128, "window_size": 256, "window_stride": 128, "max_duration": 20}
    )
    whole = {"length": 100, "window_size": None, "window_stride": None, "max_duration": None}
    return {
        "BMN": replace(detector_family("bmn").recipe("anet"), **few | where),
        "G-TAD": replace(detector_family("gtad").recipe("gtea"), **whole | few | where),
        "ActionFormer": replace(
            detector_family("actionformer").recipe("gtea"), snippets_per_unit=2 if timeline == "long" else 1
        ),
    }


def write_best_control(folder: Path, runs: Path) -> None:
    """Write features of the control that linear evaluation finds best on the validation videos, unless that is done."""
    data, out = Dataset.open(folder / "features", folder / "annotations.json"), runs / folder.name / "best-control"
    if out.is_dir():
        return
    controls = fitted(data.subset("training"))
    measured = read_json(folder.parent / "facts.json", "facts")[folder.name]["ridge, all labels"]
    # untrained modules differ by seed; they are rows of linear evaluation only
    best = max((control for control in controls if not control.seeded), key=lambda control: measured[control.name][0])
    write_control(data.features, best, 0, out)
    print(f"{folder.name}: the best control is {best.name!r}", flush=True)


def base_features(folder: Path, runs: Path, base: str, seed: int) -> Dataset:
    """Features that a detector is trained on, with the annotations."""
    features: Path | FeatureSet = folder / "features"
    if base == "best control":
        features = runs / folder.name / "best-control"
    elif base != "raw":
        features = softened(runs, folder.name, next(r for r, row in RECIPES_SHOWN.items() if row == base), seed)
    return Dataset.open(features, folder / "annotations.json")


def run_of(folder: Path, runs: Path, name: str, base: str, seed: int) -> Path:
    """Folder of a detector's run."""
    return runs / folder.name / "detectors" / f"{name}, {base}, {seed}"


def data_of(folder: Path, part: str) -> DataSource:
    """The set in `folder`, of which one part is scored."""
    return DataSource((folder / "features",), folder / "annotations.json", test_subset=part)


def run(folder: Path, runs: Path, name: str, base: str, seed: int, part: str) -> Path:
    """Train one detector, and write its detections in the videos of one part."""
    out = run_of(folder, runs, name, base, seed)
    if (out / part / DETECTIONS).is_file():
        return out
    config = replace(detector_configs(folder.name.split("-")[0])[name], seed=seed)
    data = base_features(folder, runs, base, seed)
    detector = train_detector(data.subset("training"), config, out=out, resume=True, quiet=True)
    (out / part).mkdir(exist_ok=True)
    write_found(data_of(folder, part), detector, data, out / part)
    return out


def measure(folder: Path, runs: Path, name: str, part: str, seeds: int) -> Path:
    """Measure a detector on every feature set, unless that is done."""
    path = runs / folder.name / f"{part}-{name}.json"
    if path.exists():
        return path
    data, tiou = data_of(folder, part), TIOU[folder.name.split("-")[0]]
    found = {
        base: [measure_run(data, run_of(folder, runs, name, base, seed) / part, tiou) for seed in range(seeds)]
        for base in BASES
    }
    videos = len(data.open_annotations().subset(part).videos)
    write_json(path, {title: report(key, found, videos) for key, title in METRICS.items()})
    return path


def report(key: str, found: Mapping[str, Sequence[Measured]], videos: int) -> dict[str, object]:
    """One metric of each feature set over the seeds, and each recipe against raw and the best control."""
    rows = {base: summarize([one.values[key] for one in seeds]) for base, seeds in found.items()}
    samples = {
        base: Resampled(rows[base].mean, np.mean([one.draws[key] for one in seeds], axis=0))
        for base, seeds in found.items()
    }
    pairs = [(row, other) for row in RECIPES_SHOWN.values() for other in ("raw", "best control")]
    compared = compare_family([(samples[a], samples[b]) for a, b in pairs], videos)
    return {
        "rows": [{"name": base, **to_builtins(summary)} for base, summary in rows.items()],
        "comparisons": [
            {"row": a, "against": b, "difference": d.estimate, "interval": [d.low, d.high], "p_corrected": p}
            for (a, b), (d, p) in zip(pairs, compared, strict=True)
        ],
    }


def main() -> None:
    """Train what is missing, and measure what is not measured yet."""
    parser = arguments(__doc__, seeds=3)
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=DETECTORS)
    parser.add_argument("--part", choices=PARTS, default="validation", help="of the videos, the one that is scored")
    given = parser.parse_args()
    folders = [given.out / name for name in set_names(given.out, given.sets)]
    for folder in folders:
        write_best_control(folder, given.runs)
    runs, seeds = given.runs, range(given.seeds)
    jobs = [
        (folder, runs, name, base, seed, given.part)
        for seed in seeds
        for name in given.detectors
        for folder in folders
        for base in BASES
    ]
    in_parallel(run, jobs, given.workers)
    jobs = [(folder, runs, name, given.part, given.seeds) for folder in folders for name in given.detectors]
    in_parallel(measure, jobs, given.workers)


if __name__ == "__main__":
    main()
