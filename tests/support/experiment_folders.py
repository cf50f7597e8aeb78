"""Small output folders of `sola reproduce`: features, detections, logs and result.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from support.synthetic import SyntheticWorld, write

METRICS = [
    {"key": "mAP@0.50", "title": "mAP at tIoU .5"},
    {"key": "average_mAP", "title": "average mAP"},
]
VALUES = {
    "raw": ("raw", [0.30]),
    "moving average of 9": ("control", [0.31]),
    "SoLa, direct": ("compared", [0.30, 0.32]),
    "SoLa, adapter": ("compared", [0.34, 0.36]),
}
PUBLISHED = {"raw": 0.3384, "SoLa, direct": 0.3466, "SoLa, adapter": 0.3499}


def world(folder: Path) -> Path:
    """Write a synthetic data set of 4 training and 5 validation videos to a folder, and return the folder."""
    parameters = SyntheticWorld(training_videos=4, validation_videos=5, length=60, channels=8, action_length=8)
    write(parameters, folder)
    return folder


def measured(values: Sequence[float]) -> dict[str, Any]:
    mean = float(np.mean(values))
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": mean, "std": spread, "values": list(values), "interval": [mean - 0.02, mean + 0.02]}


def comparison(row: str, against: str, *, significant: bool) -> dict[str, Any]:
    difference = float(np.mean(VALUES[row][1]) - np.mean(VALUES[against][1]))
    return {
        "row": row,
        "against": against,
        "metric": "average_mAP",
        "difference": difference,
        "interval": [difference - 0.03, difference + 0.03],
        "p": 0.004,
        "p_corrected": 0.012 if significant else 0.2,
        "significant": significant,
    }


def result(world: Path, **changes: Any) -> dict[str, Any]:
    """Return the contents of table1/result.json."""
    rows = [
        {
            "name": name,
            "kind": kind,
            "summaries": {m["key"]: measured([v + 0.1 * (m["key"] != "average_mAP") for v in values]) for m in METRICS},
            "published": {"average_mAP": PUBLISHED[name]} if name in PUBLISHED else None,
            "comparable": False,
            "features": [str(world / "features")] if kind == "raw" else [f"features-of/{key(name)}"],
            "modules": [f"modules/{key(name)}"] if kind == "compared" else [],
            "detectors": [f"detectors/{key(name)}"],
        }
        for name, (kind, values) in VALUES.items()
    ]
    return {
        "experiment": "table1",
        "title": "Table 1: the form of the module",
        "lead": "The module as an adapter and direct, under one detector.",
        "data": {
            "features": [str(world / "features")],
            "annotations": str(world / "annotations.json"),
            "train_subset": "training",
            "test_subset": "validation",
            "label_key": "label",
        },
        "seeds": 2,
        "quick": False,
        "metrics": METRICS,
        "rows": rows,
        "comparisons": [
            comparison("SoLa, adapter", "raw", significant=True),
            comparison("SoLa, adapter", "moving average of 9", significant=False),
            comparison("SoLa, direct", "raw", significant=False),
        ],
        "notes": ["Detectors were trained for 2 epochs."],
        **changes,
    }


def key(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")


def detections(world: Path, *, shift: float) -> dict[str, Any]:
    """Return detections in the validation videos: each annotated segment, shifted, and as many false positives."""
    database = json.loads((world / "annotations.json").read_text())["database"]
    results: dict[str, list[dict[str, Any]]] = {}
    for video, record in database.items():
        if record["subset"] != "validation":
            continue
        results[video] = []
        for number, annotation in enumerate(record["annotations"]):
            start, end = annotation["segment"]
            score = round(0.9 - 0.05 * number, 3)
            results[video].append(
                {"segment": [start + shift, end + shift], "label": annotation["label"], "score": score}
            )
            results[video].append(
                {"segment": [end, end + 1.0], "label": annotation["label"], "score": round(score / 4, 3)}
            )
    return {"version": "test", "results": results, "external_data": {}}


def write_detections(path: Path, detections: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(detections))
    return path


def experiment(folder: Path, world: Path, **changes: Any) -> Path:
    """Write the output folder of an experiment with one table, and return it."""
    record = result(world, **changes)
    for number, row in enumerate(record["rows"]):
        for run in row["detectors"]:
            write_detections(folder / run / "detections.json", detections(world, shift=0.2 * number))
            log(folder / run, ["loss"])
        for module in row["modules"]:
            log(folder / module, ["loss", "gate"])
        for features in row["features"]:
            copy_features(world / "features", folder / features)
    path = folder / record["experiment"] / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return folder


def log(folder: Path, measures: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"epoch": epoch, **dict.fromkeys(measures, 1 / epoch)} for epoch in range(1, 5)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def copy_features(source: Path, target: Path) -> None:
    """Copy features, subtracting the mean of each video."""
    if target.exists():
        return
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.suffix == ".npy":
            array = np.load(path)
            np.save(target / path.name, array - array.mean(axis=0))
        else:
            (target / path.name).write_bytes(path.read_bytes())
