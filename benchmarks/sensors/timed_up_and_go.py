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

import numpy as np

from sensors.writing import Untrimmed, write_data_set

FPS = 100
"""Samples per second, after interpolation."""
AXES = ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
ACTIONS = ("STANDING_UP", "TURNING", "SITTING_DOWN")
"""Labels that are annotated."""
TRAINING_SUBJECTS = 14
DEVICES = {"tug-watch": "sw", "tug-phone": "sp"}
"""Ending of the file names by data set."""


def read(path: Path) -> Untrimmed:
    """Read a recording; an action lasts from its first sample to the first sample after it."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    time = np.array([float(row["timestamp"]) / 1000 for row in rows])
    time -= time[0]
    values = np.array([[float(row[axis]) for axis in AXES] for row in rows])
    regular = np.arange(0, time[-1], 1 / FPS)
    samples = np.stack([np.interp(regular, time, axis) for axis in values.T], axis=1)
    annotations, first = [], 0
    for label, group in groupby(row["label"] for row in rows):
        after = first + len(list(group))
        if label in ACTIONS:
            end = time[min(after, len(rows) - 1)]
            annotations.append({"segment": [float(time[first]), float(end)], "label": label})
        first = after
    name, _, _ = path.stem.rpartition("_")
    return Untrimmed(name, int(name[1:3]) <= TRAINING_SUBJECTS, samples, annotations)


def write(clone: Path, device: str, folder: Path) -> None:
    """Write the data set of one device to a new folder."""
    write_data_set(folder, FPS, map(read, sorted(clone.glob(f"DATA/s*/s*_{device}.csv"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path, help="clone of the repository of the recordings")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for name, device in DEVICES.items():
        write(given.clone, device, given.out / name)


if __name__ == "__main__":
    main()
