"""Write features and annotations of the Timed Up and Go recordings of a smartwatch and a smartphone.

git clone https://github.com/GeoTecINIT/sp-sw-har-dataset CLONE
cd benchmarks && python -m sensors.timed_up_and_go CLONE OUT

23 subjects stand up from a chair, walk, turn, walk back, turn and sit down, up to 11 times each. A watch and a phone
record acceleration and rotation at 100 Hz, and every sample is labeled (Matey-Sanz et al., Dataset of inertial
measurements of smartphones and smartwatches for human activity recognition, Data in Brief 2023; CC BY 4.0). Standing
up, turning and sitting down are actions, sitting and walking are background. Subjects 1 to 14 are for training, 15 to
23 for validation.

OUT/tug-watch and OUT/tug-phone have features of half a second (`sensors.statistics`), 10 times per second.
"""

import argparse
import csv
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sensors.statistics import STRIDE, WINDOW, features
from sola.core.files import replacing, write_json
from sola.data.manifest import Manifest

FPS = 100
"""Samples per second, after interpolation."""
AXES = ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
ACTIONS = ("STANDING_UP", "TURNING", "SITTING_DOWN")
"""Labels that are annotated."""
TRAINING_SUBJECTS = 14
DEVICES = {"tug-watch": "sw", "tug-phone": "sp"}
"""Ending of the file names by data set."""


class Recording(NamedTuple):
    """A recording at a constant rate, with its annotated actions."""

    samples: Float[np.ndarray, "time axes"]
    annotations: list[dict[str, Any]]


def read(path: Path) -> Recording:
    """Read a recording; an action lasts from its first sample to the first sample after it."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    time = np.array([float(row["timestamp"]) / 1000 for row in rows])
    time -= time[0]
    values = np.array([[float(row[axis]) for axis in AXES] for row in rows])
    regular = np.arange(0, time[-1], 1 / FPS)
    samples = np.stack([np.interp(regular, time, axis) for axis in values.T], axis=1)
    annotations = []
    for label, indices in groupby(range(len(rows)), key=lambda index: rows[index]["label"]):
        first, *rest = indices
        end = time[min(first + len(rest) + 1, len(rows) - 1)]
        if label in ACTIONS:
            annotations.append({"segment": [float(time[first]), float(end)], "label": label})
    return Recording(samples, annotations)


def write(clone: Path, device: str, folder: Path) -> None:
    """Write `features/*.npy` with a manifest, and `annotations.json`, to a new folder."""
    database = {}
    with replacing(folder) as aside:
        (aside / "features").mkdir(parents=True)
        for path in sorted(clone.glob(f"DATA/s*/s*_{device}.csv")):
            recording = read(path)
            video = path.stem.removesuffix(f"_{device}")
            values = features(recording.samples)
            np.save(aside / "features" / f"{video}.npy", values)
            database[video] = {
                "subset": "training" if int(video[1:3]) <= TRAINING_SUBJECTS else "validation",
                "duration": len(recording.samples) / FPS,
                "annotations": recording.annotations,
            }
        Manifest(dim=values.shape[1], fps=FPS, stride=STRIDE, window=WINDOW).write(aside / "features")
        write_json(aside / "annotations.json", {"database": database})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path, help="clone of the repository of the recordings")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for name, device in DEVICES.items():
        write(given.clone, device, given.out / name)


if __name__ == "__main__":
    main()
