"""The documented steps on a field's full data set, rehearsed on a few of its videos, and reckoned to all of them.

Synthetic features (a scene, a state that changes where the real annotations have boundaries, noise) are laid out as the
published ones are, for two small numbers of videos; every step is the real command in a process of its own, timed, with
its own peak memory. Figures for all videos are *reckoned* along the line through both sizes; the epochs of trainings
from the rate that their log says. The detections mean nothing.

    python benchmarks/speed/rehearsal.py ANNOTATIONS.json OUT [--videos 256 512] [--channels 400] [--layout anet|hacs]

`anet` is BSN's rescaled set: .csv of 100 x 400. `hacs` is TCANet's: a float16 array every 8 frames at 15 fps, 2304
wide, here on the annotations that are given: with those of ActivityNet, its lengths stand for those of HACS.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.files import write_json
from sola.data.annotations import Annotations, VideoAnnotation, read_annotations
from sola.data.manifest import Manifest
from sola.detectors import DETECTORS, detector_family
from sola.softlanding.recipes import RECIPES
from sola.training.run import Run


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a published set of features looks, and how many videos it has."""

    training: int
    """Videos whose features the module is trained on."""
    validation: int
    """Videos that are measured on."""
    channels: int
    rescaled: int | None = None
    """Snippets of every video; None: as the manifest says."""
    manifest: Manifest = dataclasses.field(default_factory=Manifest)
    probed: bool = True
    """Whether linear evaluation of all videos fits in a usual memory."""
    detector: tuple[object, ...] = ()
    """What `train-detector` is given besides."""

    def length(self, duration: float) -> int:
        """Snippets of a video of so many seconds."""
        if self.rescaled is not None:
            return self.rescaled
        fps, stride, window = self.manifest.fps, self.manifest.stride, self.manifest.window
        assert fps is not None
        assert stride is not None
        assert window is not None
        return max(int((duration * fps - window) // stride) + 1, 1)


LAYOUTS = {
    "anet": Layout(9_649, 4_728, 400, rescaled=100),
    "hacs": Layout(
        37_613,
        5_981,
        2_304,
        manifest=Manifest(2_304, fps=15.0, stride=8.0, window=32.0),
        probed=False,
        detector=("--classifier-epochs", 0),  # hours on so wide features, and a file names the proposals
    ),
}
EPOCHS = {"train": 2, "train-detector": 1}
"""Of a rehearsed training; the recipe's are reckoned."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One command on a few videos."""

    videos: int
    """Those that it worked on."""
    seconds: float
    peak: int
    """Bytes of its process that were resident at most."""
    epoch: float = 0.0
    """Seconds of an epoch, of a training; not counted in `seconds`."""


@dataclasses.dataclass(frozen=True)
class Reckoned:
    """A step at both sizes, and what follows for all videos."""

    step: str
    small: Measured
    large: Measured
    videos: int
    epochs: int = 0
    """That the recipe takes."""

    def along(self, small: float, large: float) -> float:
        """The line through both sizes, at all videos; no step gets cheaper with more of them."""
        slope = max((large - small) / (self.large.videos - self.small.videos), 0.0)
        return large + slope * (self.videos - self.large.videos)

    @property
    def seconds(self) -> float:
        """For all videos and the recipe's epochs."""
        training = self.epochs * self.large.epoch * self.videos / self.large.videos
        return self.along(self.small.seconds, self.large.seconds) + training

    @property
    def peak(self) -> float:
        """Bytes for all videos, if they stay in memory."""
        return self.along(self.small.peak, self.large.peak)


def chosen(annotations: Annotations, videos: int) -> list[VideoAnnotation]:
    """That many annotated training videos, and half as many for validation: what ActivityNet has."""
    picked = []
    for subset, count in (("training", videos), ("validation", max(videos // 2, 1))):
        records = [one for one in annotations.subset(subset).videos.values() if len(one.segments) and one.duration]
        picked += records[:count]
    return picked


def features(
    record: VideoAnnotation, length: int, classes: Float[np.ndarray, "classes channels"], seed: int
) -> Float[np.ndarray, "length channels"]:
    """A scene, the class's state inside its instances, slow and fast noise; not negative, as after a ReLU."""
    generator = np.random.default_rng(seed)
    channels = classes.shape[1]
    assert record.duration is not None
    centers = (np.arange(length) + 0.5) * record.duration / length
    values = generator.standard_normal((length, channels), np.float32) * 0.5
    values += np.repeat(generator.standard_normal((length // 8 + 1, channels), np.float32), 8, axis=0)[:length] * 0.5
    values += generator.standard_normal(channels).astype(np.float32)
    for start, end, label in zip(record.segments.start, record.segments.end, record.segments.label, strict=True):
        values[(centers >= start) & (centers < end)] += classes[label]
    return np.maximum(values, 0, out=values)


def lay(records: Sequence[VideoAnnotation], names: Sequence[str], layout: Layout, channels: int, folder: Path) -> None:
    """Write features/, annotations.json and classifier.json (CUHK's layout) as somebody who has the real ones would."""
    source = folder / "features"
    source.mkdir(parents=True)
    generator = np.random.default_rng(0)
    classes = generator.standard_normal((len(names), channels)).astype(np.float32)
    head = ",".join(f"f{i}" for i in range(channels))
    database, scores = {}, {}
    for seed, record in enumerate(records, 1):
        assert record.duration is not None
        values = features(record, layout.length(record.duration), classes, seed)
        if layout.rescaled is None:
            np.save(source / f"{record.video}.npy", values.astype(np.float16))
        else:
            np.savetxt(source / f"v_{record.video}.csv", values, "%.6f", delimiter=",", header=head, comments="")
        own = zip(record.segments.start, record.segments.end, record.segments.label, strict=True)
        database[record.video] = {
            "subset": record.subset,
            "duration": record.duration,
            "annotations": [{"segment": [start, end], "label": names[label]} for start, end, label in own],
        }
        likely = generator.random(len(names)) * 0.01
        likely[record.segments.label[0]] = 0.9
        scores[record.video] = likely.tolist()
    if layout.rescaled is None:
        dataclasses.replace(layout.manifest, dim=channels).write(source)
    write_json(folder / "annotations.json", {"version": "1.3", "database": database})
    write_json(folder / "classifier.json", {"results": scores, "class": list(names)})


WATCHER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - began
print(json.dumps([code, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""
"""Runs a command. A process of its own: a child's peak counts what its parent had resident when it was begun."""


def measured(videos: int, *arguments: object, run: Path | None = None) -> Measured:
    """Run `sola` with these arguments; of a training, `run` is where its log is.

    Stops the rehearsal when the command fails: its error has been said.
    """
    command = [sys.executable, "-m", "sola", *map(str, arguments)]
    told = subprocess.run([sys.executable, "-c", WATCHER, *command], check=True, stdout=subprocess.PIPE)
    code, seconds, peak = json.loads(told.stdout)
    if code:
        sys.exit(f"{' '.join(command[2:])}: failed")
    rows = [] if run is None else Run(run).rows()
    epochs = [videos / float(row["windows_per_s"]) for row in rows]
    return Measured(videos, seconds - sum(epochs), peak, min(epochs, default=0.0))


def rehearse(folder: Path, layout: Layout, recipe: str, model: str, videos: int) -> dict[str, Measured]:
    """Every documented step in a laid folder of that many training videos, and half as many for validation."""
    annotations = ["--annotations", folder / "annotations.json"]
    source, softened, half = folder / "features", folder / "softened", max(videos // 2, 1)
    module, detector = folder / "module", folder / "detector"
    found, proposals = folder / "detections.json", folder / "proposals.json"
    shared = ["--quiet"]
    steps = {
        "train": measured(
            videos, "train", source, *annotations, "--recipe", recipe, "--out", module,
            "--epochs", EPOCHS["train"], *shared, run=module,
        ),
        "transform": measured(videos + half, "transform", module, source, "--out", softened, *shared),
    }  # fmt: skip
    if layout.probed:
        compared = ["--compare", f"sola={softened}", "--solver", "ridge", "--seeds", 1]
        steps["probe"] = measured(videos + half, "probe", source, *annotations, *compared, *shared)
    return steps | {
        "train-detector": measured(
            videos, "train-detector", softened, *annotations, "--model", model, "--recipe", recipe,
            "--out", detector, "--epochs", EPOCHS["train-detector"], *layout.detector, *shared, run=detector,
        ),
        "detect": measured(
            half, "detect", detector, softened, *annotations, "--test-subset", "validation",
            "--classifier", folder / "classifier.json", "--out", found, "--proposals", proposals, *shared,
        ),
        "evaluate detections": measured(half, "evaluate", found, *annotations, "--json"),
        "evaluate proposals": measured(half, "evaluate", proposals, "--proposals", *annotations, "--json"),
    }  # fmt: skip


def reckoned(
    small: dict[str, Measured], large: dict[str, Measured], layout: Layout, recipe: str, model: str
) -> list[Reckoned]:
    """Each step at all videos of the layout."""
    both = layout.training + layout.validation
    videos = {"train": layout.training, "transform": both, "probe": both, "train-detector": layout.training}
    epochs = {
        "train": RECIPES[recipe]().values["epochs"],  # type: ignore[index]
        "train-detector": detector_family(model).recipe(recipe).epochs,
    }
    return [
        Reckoned(step, small[step], large[step], videos.get(step, layout.validation), epochs.get(step, 0))
        for step in large
    ]


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would take."""
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def table(rows: Sequence[Reckoned]) -> str:
    """The Markdown table: measured at the larger size, reckoned at all."""
    lines = [
        f"| step | measured | peak memory | all videos, reckoned: time | peak memory |\n{'|---' * 5}|",
    ]
    for row in rows:
        epoch = f" + {duration(row.large.epoch)} an epoch" if row.epochs else ""
        each = f" with {row.epochs} epochs" if row.epochs else ""
        lines.append(
            f"| `{row.step}` | {row.large.videos} videos: {duration(row.large.seconds)}{epoch} "
            f"| {row.large.peak / 2**30:.2f} GiB | {row.videos:,} videos{each}: {duration(row.seconds)} "
            f"| {row.peak / 2**30:.1f} GiB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Lay, rehearse twice, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--videos", type=int, nargs=2, default=(256, 512), help="training videos at either size")
    parser.add_argument("--channels", type=int, default=None, help="instead of the layout's")
    parser.add_argument("--layout", choices=tuple(LAYOUTS), default="anet")
    parser.add_argument("--model", choices=tuple(DETECTORS), default="gtad")
    options = parser.parse_args()
    layout = LAYOUTS[options.layout]
    annotations = read_annotations(options.annotations)
    sizes = []
    for videos in options.videos:
        folder = options.out / str(videos)
        lay(chosen(annotations, videos), annotations.classes, layout, options.channels or layout.channels, folder)
        sizes.append(rehearse(folder, layout, options.layout, options.model, videos))
    rows = reckoned(*sizes, layout, options.layout, options.model)
    write_json(options.out / "rehearsal.json", [dataclasses.asdict(row) for row in rows])
    busy = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} over the last five minutes"
    print(f"{options.layout}, {options.model}: {busy}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
