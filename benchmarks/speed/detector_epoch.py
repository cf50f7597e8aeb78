"""Time per video of one epoch of detector training at ActivityNet's size: T = 100, 400 channels, real annotations.

Features are noise, which does not change the time; clips, targets, losses and steps are those of `sola train-detector`.
Measures a few hundred videos and extrapolates to an epoch of all 9,649.

    python benchmarks/speed/detector_epoch.py ANNOTATIONS.json [--videos 500] [--model bmn]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from sola.core.device import choose_precision
from sola.data.annotations import read_annotations
from sola.data.timing import Placement
from sola.detectors import detector_family
from sola.detectors.clips import Clips
from sola.detectors.task import DetectionTask
from sola.training.trainer import backward

CPU = torch.device("cpu")
CHANNELS, LENGTH = 400, 100


def noise(annotations: Path, videos: int) -> Clips:
    """Return clips of whole videos with noise features and the instances of the first training videos."""
    records = [v for v in read_annotations(annotations).subset("training").videos.values() if len(v.segments)][:videos]
    placements = tuple(Placement(0.0, (record.features_duration or 1.0) / LENGTH) for record in records)
    instances = []
    for record, placement in zip(records, placements, strict=True):
        pair = np.stack([placement.units(record.segments.start), placement.units(record.segments.end)], axis=1)
        instances.append(torch.from_numpy(pair.clip(0, LENGTH)).float())
    values = np.random.default_rng(0).standard_normal((len(records) * LENGTH, CHANNELS), np.float32).astype(np.float16)
    names = tuple(record.video for record in records)
    extents = tuple((0.0, LENGTH * placement.unit) for placement in placements)
    labels = tuple(torch.from_numpy(record.segments.label) for record in records)
    bounds = np.arange(len(records) + 1) * LENGTH
    return Clips(values, bounds, names, extents, np.arange(len(records)), placements, tuple(instances), labels)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--model", choices=("bmn", "gtad"), default="bmn")
    options = parser.parse_args()
    config = detector_family(options.model).recipe("anet")
    clips = noise(options.annotations, options.videos)
    task = DetectionTask(config, clips, 0, CPU)
    optimizer = task.optimizer()
    precision = choose_precision("auto", CPU)
    backward(task, task.batch(0, 0), CPU, precision)  # warm-up
    began = time.perf_counter()
    for step in range(task.steps(0)):
        backward(task, task.batch(0, step), CPU, precision)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - began
    milliseconds, minutes = 1000 * seconds / len(clips), 9649 * seconds / len(clips) / 60
    print(
        f"{options.model}, {precision}, {torch.get_num_threads()} threads: {milliseconds:.0f} ms per video over "
        f"{len(clips)} videos; an epoch of 9,649 videos would take {minutes:.0f} min (extrapolated)"
    )


if __name__ == "__main__":
    main()
