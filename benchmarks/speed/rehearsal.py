"""Rehearse the documented steps for a published data set on some synthetic videos, and estimate them for all videos.

Synthetic features and annotations are written in the layout of the data set, for two small numbers of videos. Every
step is the documented command in its own process, with its time and peak memory. Estimates for all videos extrapolate
the line through both sizes; epochs of trainings are estimated from the throughput in their logs. The detections are
meaningless.

    python benchmarks/speed/rehearsal.py OUT --layout thumos14 [--annotations FILE] [--videos 16 32] [--channels 64]

`--annotations` takes the real annotations, or annotations of another data set with the same names of subsets; without
it, synthetic annotations have the number of classes, the number of instances per video and the durations of the data
set (published_layouts.py).
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from published_layouts import LAYOUTS, Layout
from synthetic_data_set import draw_annotations, first_videos, sizes, write_data_set

from sola.core.files import write_json
from sola.data.annotations import read_annotations
from sola.detectors import detector_family
from sola.detectors.detect import VIDEOS_AT_A_TIME
from sola.softlanding.multiscale_config import MultiScaleConfig
from sola.softlanding.recipes import RECIPES
from sola.training.run import Run

AT_A_TIME = {"transform": 1, "detect": VIDEOS_AT_A_TIME}
"""Number of videos that a step has in memory at a time, for steps that do not hold all."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One command on a few videos."""

    videos: int
    """Number of videos that it processed."""
    seconds: float
    """Wall-clock time (seconds), without the epochs of a training."""
    peak: int
    """Peak resident memory of its process (bytes)."""
    epoch: float = 0.0
    """Time of an epoch (seconds), or 0 if epochs are not counted separately."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A step at both sizes, and its estimate for all videos."""

    step: str
    small: Measurement
    large: Measurement
    videos: int
    """Number of videos of the whole data set that the step processes."""
    epochs: int = 0
    """Number of epochs of the recipe."""
    constant_epochs: bool = False
    """Whether an epoch takes the same time for any number of videos, as with `sola train --recipe auto`."""

    @property
    def seconds(self) -> float:
        """Time for all videos and all epochs (seconds); proportional to the videos if more of them took no longer."""
        slope = (self.large.seconds - self.small.seconds) / (self.large.videos - self.small.videos)
        if slope <= 0:
            slope = self.large.seconds / self.large.videos
        training = self.epochs * self.large.epoch * (1 if self.constant_epochs else self.videos / self.large.videos)
        return self.large.seconds + slope * (self.videos - self.large.videos) + training

    @property
    def peak(self) -> float:
        """Peak memory for all videos (bytes), if features stay in memory and no video is longer."""
        held = min(self.videos, AT_A_TIME.get(self.step, self.videos))
        slope = max((self.large.peak - self.small.peak) / (self.large.videos - self.small.videos), 0.0)
        return self.large.peak + slope * max(held - self.large.videos, 0)


WATCHER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - began
print(json.dumps([code, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""
"""Script that runs a command in a process of its own: a child's peak memory includes that of its parent at the fork."""


def measure(
    folder: Path, videos: int, *arguments: object, run: str | None = None, windows: int | None = None
) -> Measurement:
    """Run `sola` with these arguments in `folder`. Exits if the command fails, after its error message.

    Args:
        folder: Working folder of the command.
        videos: Number of videos that it processes.
        arguments: Arguments of the command.
        run: Folder of the run of a training, whose log has the throughput.
        windows: Windows per epoch of a training, by default one for each video.
    """
    command = [sys.executable, "-m", "sola", *map(str, arguments), *([] if "--json" in arguments else ["--quiet"])]
    watched = subprocess.run([sys.executable, "-c", WATCHER, *command], check=True, stdout=subprocess.PIPE, cwd=folder)
    code, seconds, peak = json.loads(watched.stdout)
    if code:
        sys.exit(f"{' '.join(command[2:])}: failed")
    rows = [] if run is None else Run(folder / run).rows()
    epochs = [(windows or videos) / float(row["windows_per_s"]) for row in rows]
    return Measurement(videos, seconds - sum(epochs), peak, min(epochs, default=0.0))


def rehearse(folder: Path, layout: Layout, dataset: str, training: int) -> dict[str, Measurement]:
    """Run every documented step on a data set that was written to `folder`."""
    testing = sizes(training)[1]
    both = training + testing
    annotations = ("--annotations", layout.annotation_file)
    train_subset = ("--train-subset", layout.subsets[0])
    test_subset = ("--test-subset", layout.subsets[1])
    steps = {}
    if layout.conversion:
        steps["convert"] = measure(folder, both, "convert", *layout.conversion)
    auto = MultiScaleConfig()
    steps["train"] = measure(
        folder, training, "train", "features", *annotations, *train_subset, "--recipe", layout.recipe,
        "--out", "module", "--epochs", 2, run="module",
        windows=auto.batches * auto.batch_size if layout.recipe == "auto" else None,
    )  # fmt: skip
    steps["transform"] = measure(folder, both, "transform", "module", "features", "--out", "softened")
    if layout.probed:
        compared = ("--compare", "sola=softened", "--solver", "ridge", "--seeds", 1)
        steps["probe"] = measure(folder, both, "probe", "features", *annotations, *compared)
    one_epoch = ("--epochs", 1, *(() if layout.model in ("bmn", "gtad") else ("--warmup-epochs", 0)))
    steps["train-detector"] = measure(
        folder, training, "train-detector", "softened", *annotations, *train_subset, "--model", layout.model,
        "--recipe", layout.detector_recipe, *layout.detector, "--out", "detector", *one_epoch, run="detector",
    )  # fmt: skip
    proposes = layout.classifier is not None and layout.classifier.endswith(".json")
    classes = ("--classifier", layout.classifier, "--proposals", "proposals.json") if proposes else ()
    steps["detect"] = measure(
        folder, testing, "detect", "detector", "softened", *annotations, *test_subset, *classes, *layout.detection,
        "--out", "detections.json",
    )  # fmt: skip
    evaluated = (*annotations, *test_subset, "--dataset", dataset, "--json")
    steps["evaluate"] = measure(folder, testing, "evaluate", "detections.json", *evaluated)
    if proposes:
        steps["evaluate --proposals"] = measure(
            folder, testing, "evaluate", "proposals.json", "--proposals", *evaluated
        )
    return steps


def estimate(small: dict[str, Measurement], large: dict[str, Measurement], layout: Layout) -> list[Estimate]:
    """Estimate each step for all videos of the data set."""
    both = layout.training + layout.testing
    videos = {
        **dict.fromkeys(("convert", "transform", "probe"), both),
        **dict.fromkeys(("train", "train-detector"), layout.training),
    }
    recipe = detector_family(layout.model).recipe(layout.detector_recipe)
    epochs = {
        "train": RECIPES[layout.recipe]().values["epochs"],
        "train-detector": layout.detector_epochs or recipe.epochs,
    }
    return [
        Estimate(
            *(step, small[step], large[step], videos.get(step, layout.testing), epochs.get(step, 0)),
            constant_epochs=step == "train" and layout.recipe == "auto",
        )
        for step in large
    ]


def duration_text(seconds: float) -> str:
    """Return seconds in a convenient unit."""
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def table(rows: Sequence[Estimate]) -> str:
    """Return the Markdown table: measurements at the larger size, estimates for all videos."""
    lines = [f"| step | measured | peak memory | all videos, estimated: time | peak memory |\n{'|---' * 5}|"]
    for row in rows:
        epoch = f" + {duration_text(row.large.epoch)} an epoch" if row.epochs else ""
        epochs = f" with {row.epochs} epochs" if row.epochs else ""
        lines.append(
            f"| `{row.step}` | {row.large.videos} videos: {duration_text(row.large.seconds)}{epoch} "
            f"| {row.large.peak / 2**30:.2f} GiB | {row.videos:,} videos{epochs}: {duration_text(row.seconds)} "
            f"| {row.peak / 2**30:.1f} GiB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write the data set, rehearse at both sizes, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--layout", choices=tuple(LAYOUTS), default="activitynet", help="data set")
    parser.add_argument("--annotations", type=Path, default=None, help="real annotations, instead of synthetic ones")
    parser.add_argument("--videos", type=int, nargs=2, default=(16, 32), help="training videos at both sizes")
    parser.add_argument("--channels", type=int, default=None, help="instead of the published number")
    options = parser.parse_args()
    layout = LAYOUTS[options.layout]
    real = None if options.annotations is None else read_annotations(options.annotations)
    measurements = []
    for training in options.videos:
        annotations = real or draw_annotations(layout, training)
        folder = options.out / str(training)
        videos = first_videos(annotations, layout, training)
        write_data_set(videos, annotations.classes, layout, options.channels or layout.channels, folder)
        measurements.append(rehearse(folder, layout, options.layout, training))
    rows = estimate(*measurements, layout)
    write_json(options.out / "rehearsal.json", [dataclasses.asdict(row) for row in rows])
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} over the last five minutes"
    print(f"{options.layout}: {load}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
