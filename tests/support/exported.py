"""Write features and annotations, export them, and read what an export gives to other tools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sola.data.dataset import Dataset
from sola.data.timing import SnippetGrid
from sola.export import export_dataset

GRIDS = {
    "windows touch": SnippetGrid(30.0, 16, 16),
    "windows overlap": SnippetGrid(25.0, 4, 16),
    "halves of a frame": SnippetGrid(15.0, 1.5, 3, 2),
    "an odd window": SnippetGrid(29.97, 8, 15, 5),
    "starts before the video": SnippetGrid(24.0, 8, 16, -8),
    "a third of a frame": SnippetGrid(10.0, 1 / 3, 1, 0),
    "snippets a second": SnippetGrid(4.0),
}
LENGTHS = {"a": 40, "b": 31, "c": 57, "d": 20}
SUBSETS = {"a": "training", "b": "training", "c": "validation", "d": "validation"}
SEGMENTS = {  # as fractions of the time covered by features
    "a": [(0.1, 0.3, "jump"), (0.25, 0.9, "run")],
    "b": [(0.5, 0.75, "run")],
    "c": [(0.0, 0.2, "walk"), (0.4, 1.0, "jump")],
    "d": [],
}


def written(folder: Path, grid: SnippetGrid | None, *, prefix: str = "", durations: bool = True) -> tuple[Path, Path]:
    """Write features and annotations. A grid is written as manifest; without one, only durations give times."""
    features = folder / "features_in"
    features.mkdir(parents=True)
    database: dict[str, Any] = {}
    for seed, (video, length) in enumerate(LENGTHS.items()):
        array = np.random.default_rng(seed).normal(size=(length, 6)).astype(np.float16)
        np.save(features / f"{prefix}{video}.npy", array)
        end = 10.0 + seed if grid is None else float(center(grid, length - 1))
        database[video] = {
            "subset": SUBSETS[video],
            "duration": end,
            "annotations": [{"segment": [s * end, e * end], "label": label} for s, e, label in SEGMENTS[video]],
        }
        if not durations:
            del database[video]["duration"]
    if grid is not None:
        manifest = {"fps": grid.fps, "stride": grid.stride, "window": grid.window, "offset": grid.offset}
        (features / "features.json").write_text(json.dumps(manifest))
    (folder / "in.json").write_text(json.dumps({"database": database}))
    return features, folder / "in.json"


def handed_over(folder: Path, grid: SnippetGrid | None, **more: Any) -> Path:
    features, annotations = written(folder, grid, **more)
    export_dataset(Dataset.open(features, annotations), folder / "out")
    return folder / "out"


def center(grid: SnippetGrid, snippet: int) -> float:
    """Center of a snippet in seconds, computed independently from the definition of the manifest."""
    first_frame = grid.offset + snippet * grid.stride
    return (first_frame + (first_frame + grid.window)) / 2 / grid.fps


def database_of(out: Path) -> dict[str, Any]:
    database: dict[str, Any] = json.loads((out / "annotations.json").read_text())["database"]
    return database


def actionformer_config(out: Path) -> dict[str, Any]:
    config: dict[str, Any] = pytest.importorskip("yaml").safe_load((out / "actionformer.yaml").read_text())
    return config


def opentad_config(out: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec((out / "opentad.py").read_text(), names)
    return names
