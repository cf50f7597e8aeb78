"""Generate the benchmark: features of rendered videos from two frozen encoders, 128 principal components, float16.

cd benchmarks && python -m rendered.benchmark OUT [--levels 1 2] [--timelines long short] [--workers 2]

OUT/{timeline}-{level}-{encoder}/ contains features/ and annotations.json for `sola`. OUT/work/ contains intermediate
files, so that an interrupted call can be repeated. The clip network is trained first. With two CPU cores, two levels
and both timelines take an hour and a half. On another machine, features are equal within float16 rounding, except those
of the clip network, whose weights differ (see `rendered.pretraining`).
"""

import argparse
import dataclasses
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch

from rendered.clip_encoder import ClipEncoder
from rendered.features import manifest_of, write_features
from rendered.pretraining import write_encoder
from rendered.reduction import fit_reduction
from rendered.timeline import TIMELINES
from rendered.video import LEVELS
from rendered.world import VideoSpec, videos, write_annotations
from sola.core.files import replacing
from sola.data.manifest import Manifest
from sola.video.encoders.base import Encoder
from sola.video.encoders.efficientnet import EfficientNetEncoder

COUNTS = {"training": 80, "validation": 40, "testing": 60, "unlabeled": 60}
"""Number of videos by subset."""
KEPT = 128
"""Number of principal components."""
CPU = torch.device("cpu")
ENCODERS: dict[str, Callable[[Path], Encoder]] = {
    "efficientnet": lambda work: EfficientNetEncoder(CPU),
    "clip": lambda work: ClipEncoder(work / "clip.safetensors", CPU),
}
"""Constructors of the frozen encoders, given the work folder."""


def write_set(out: Path, timeline: str, level: int, encoder: str) -> str:
    """Write the features and annotations of one set. Return a summary."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    specs = list(videos(level, timeline, COUNTS))
    folder, raw = out / f"{timeline}-{level}-{encoder}", out / "work" / f"{timeline}-{level}-{encoder}"
    network = ENCODERS[encoder](out / "work")
    write_features(specs, network, raw)
    share = reduce_features(specs, raw, folder / "features", manifest_of(network))
    write_annotations(specs, folder / "annotations.json")
    return f"{folder.name}: {len(specs)} videos, {KEPT} components explain {share:.1%} of the variance"


def reduce_features(specs: list[VideoSpec], raw: Path, folder: Path, manifest: Manifest) -> float:
    """Write the principal components of the features in `raw`. Return their share of the variance."""
    reduction = fit_reduction((np.load(raw / f"{s.name}.npy") for s in specs if s.split == "training"), KEPT)
    folder.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(manifest, dim=KEPT).write(folder)
    for spec in specs:
        with replacing(folder / f"{spec.name}.npy") as aside, aside.open("wb") as file:
            np.save(file, reduction(np.load(raw / f"{spec.name}.npy")))
    return reduction.share


def main() -> None:
    """Generate all requested sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--levels", type=int, nargs="+", choices=LEVELS, default=[1, 2])
    parser.add_argument("--timelines", nargs="+", choices=list(TIMELINES), default=list(TIMELINES))
    parser.add_argument("--workers", type=int, default=2, help="number of processes, with one thread each")
    given = parser.parse_args()
    work = given.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "clip.safetensors").is_file():
        torch.set_num_threads(1)  # deterministic order of summation
        cv2.setNumThreads(1)
        write_encoder(work / "clip.safetensors", work)
    with ProcessPoolExecutor(given.workers) as pool:
        sets = product(given.timelines, given.levels, ENCODERS)
        for done in as_completed([pool.submit(write_set, given.out, *chosen) for chosen in sets]):
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
