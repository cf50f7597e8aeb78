"""Train once with sola or with the authors' program, in a separate process.

cd benchmarks && python -m parity.training SIDE MODEL FOLDER SEED SETTINGS OUT
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from parity import authors_bmn, authors_pyramid
from parity.features import ANNOTATIONS, FEATURES
from parity.settings import REFERENCES, JJBOYConfig, register, settings
from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.data.detections import UNLABELED, write_detections
from sola.data.segments import Segments
from sola.detectors.base import DetectorConfig
from sola.detectors.detect import propose
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.train import train_detector
from sola.training.run import Run

LOSSES, DETECTIONS = "losses.json", "detections.json"


def ours(config: DetectorConfig, data: Dataset, seed: int, out: Path) -> tuple[list[float], dict[str, Segments]]:
    """Train and detect with sola. Return the mean loss of each epoch and the segments for each validation video."""
    register()
    detector = train_detector(data.subset("training"), config, out=out / "run", seed=seed, overwrite=True, quiet=True)
    return [row["loss"] for row in Run(out / "run").rows()], propose(detector, data.subset("validation"))


def authors(model: str, config: DetectorConfig, data: Dataset, seed: int, folder: Path, out: Path) -> Any:
    """Train and detect with the authors' program. Return losses and segments like `ours`."""
    clone = Path(os.environ[REFERENCES[model]]).absolute()
    if isinstance(config, JJBOYConfig):
        return authors_bmn.run(clone, config, data, seed, folder, out)
    assert isinstance(config, PointPyramidConfig)
    return authors_pyramid.run(clone, config, data, seed, folder, out)


def main() -> None:
    side, model, folder_name, number, changes, out_name = sys.argv[1:]
    torch.set_num_threads(1)
    folder, out, seed = Path(folder_name).absolute(), Path(out_name).absolute(), int(number)
    config, data = settings(model, json.loads(changes)), Dataset.open(folder / FEATURES, folder / ANNOTATIONS)
    began = time.perf_counter()
    if side == "ours":
        losses, segments = ours(config, data, seed, out)
    else:
        losses, segments = authors(model, config, data, seed, folder, out)
    took = time.perf_counter() - began
    classes = data.classes if config.predicts_classes else (UNLABELED,)
    write_detections(out / DETECTIONS, segments, classes)
    write_json(out / LOSSES, {"loss": losses, "seconds": took})


if __name__ == "__main__":
    main()
