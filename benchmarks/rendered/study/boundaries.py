"""Boundaries without labels: what a change-point detector finds in raw features, in every control, after SoLa.

cd benchmarks && python -m rendered.study.boundaries OUT RUNS [--part validation|testing] [--seeds 10] [--sets NAME ...]

Kernel change-point detection of `ruptures` (linear kernel) on features of unit length. All it is told is how many
boundaries a minute the training videos have: on each feature set the penalty is the one that finds as many there. A
boundary counts as found within one second, each by one change point. Writes RUNS/SET/PART-boundaries.json.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import ruptures
from jaxtyping import Float, Int
from msgspec import to_builtins
from scipy.optimize import linear_sum_assignment

from rendered.study.linear import PARTS
from rendered.study.softening import RECIPES_SHOWN, arguments, in_parallel, set_names, softened
from sola.core.files import write_json
from sola.data.dataset import Dataset, Video
from sola.data.snippet_labels import Read, reader
from sola.evaluation.controls import fit_controls
from sola.evaluation.statistics import REPLICATES, Resampled, compare_family, summarize

TOLERANCE = 1.0
"""Seconds between a boundary and the change point that finds it."""
SHORTEST = 4
"""Snippets between two change points, one second."""
HALVINGS = 12
"""Of the interval in which the penalty is sought."""


def boundaries(video: Video) -> Float[np.ndarray, " boundaries"]:
    """Starts and ends of all actions, in seconds, those at the ends of the video excepted."""
    times = np.unique(np.concatenate([video.segments.start, video.segments.end]))
    assert video.duration is not None
    return times[(times > TOLERANCE) & (times < video.duration - TOLERANCE)]


def found(truth: Float[np.ndarray, " n"], changes: Float[np.ndarray, " m"]) -> int:
    """How many boundaries have a change point of their own within the tolerance."""
    near = np.abs(truth[:, None] - changes) <= TOLERANCE
    return int(near[linear_sum_assignment(near, maximize=True)].sum())


def f1(counts: Int[np.ndarray, "*videos 3"]) -> Float[np.ndarray, " *videos"]:
    """2·found/(boundaries + change points), of [found, boundaries, change points]."""
    return 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)


class Detector:
    """Change points of videos; the signals of one feature set stay in memory."""

    def __init__(self, read: Read, videos: Iterable[str]) -> None:
        self.fitted = {video: self._fit(read(video)) for video in videos}

    @staticmethod
    def _fit(features: Float[np.ndarray, "time channels"]) -> ruptures.KernelCPD:
        values = features.astype(np.float64)
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        return ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(values)

    def changes(self, video: str, penalty: float) -> Int[np.ndarray, " changes"]:
        """Snippets at which something new begins."""
        return np.array(self.fitted[video].predict(pen=penalty)[:-1], dtype=int)

    def penalty_for(self, videos: Sequence[str], wanted: int) -> float:
        """The least penalty, within twelve halvings of its logarithm, that finds no more than `wanted` in all."""
        low, high = np.log(1e-4), np.log(1e3)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            many = sum(len(self.changes(video, float(np.exp(middle)))) for video in videos) > wanted
            low, high = (middle, high) if many else (low, middle)
        return float(np.exp(high))


def counts(read: Read, data: Dataset, part: str) -> Int[np.ndarray, "videos 3"]:
    """[found, boundaries, change points] of each video of the part, in order of id."""
    training, measured = data.subset("training").videos, data.subset(part).videos
    names = [video.id for video in training]
    penalty = Detector(read, names).penalty_for(names, sum(len(boundaries(video)) for video in training))
    detector, rows = Detector(read, [video.id for video in measured]), []
    for video in measured:
        changes = np.array([video.grid.edge(float(index)) for index in detector.changes(video.id, penalty)])
        truth = boundaries(video)
        rows.append([found(truth, changes), len(truth), len(changes)])
    return np.array(rows)


def measure(folder: Path, runs: Path, part: str, seeds: int) -> Path:
    """Measure all rows of one set, unless that is done."""
    path = runs / folder.name / f"{part}-boundaries.json"
    if path.exists():
        return path
    data = Dataset.open(folder / "features", folder / "annotations.json")
    raw = reader(data)
    kinds = {"raw": "raw"}
    found_by = {"raw": [counts(raw, data, part)]}
    for control in fit_controls((raw(video.id) for video in data.subset("training").videos), {}):
        if not control.seeded:  # modules without training are rows of linear evaluation
            change = control.at_seed(0)
            kinds[control.name] = "control"
            found_by[control.name] = [counts(lambda v, change=change: change(raw(v)), data, part)]
    for recipe, row in RECIPES_SHOWN.items():
        kinds[row] = "compared"
        sets = [softened(runs, folder.name, recipe, seed) for seed in range(seeds)]
        found_by[row] = [counts(one.read, data, part) for one in sets]
    write_json(path, report(found_by, kinds))
    return path


def report(found_by: dict[str, list[Int[np.ndarray, "videos 3"]]], kinds: dict[str, str]) -> dict[str, object]:
    """F1 over all videos, ± over seeds, and a paired bootstrap over videos of each module against every control."""
    videos = len(found_by["raw"][0])
    draws = np.random.default_rng(0).multinomial(videos, np.full(videos, 1 / videos), size=REPLICATES)
    values = {row: [float(f1(one.sum(axis=0))) for one in seeds] for row, seeds in found_by.items()}
    samples = {
        row: Resampled(float(np.mean(values[row])), np.mean([f1(draws @ one) for one in seeds], axis=0))
        for row, seeds in found_by.items()
    }
    comparisons = []
    for row in (name for name, kind in kinds.items() if kind == "compared"):
        others = [name for name, kind in kinds.items() if kind != "compared"]
        compared = compare_family([(samples[row], samples[other]) for other in others], videos)
        comparisons += [
            {"row": row, "against": other, "difference": d.estimate, "interval": [d.low, d.high], "p_corrected": p}
            for other, (d, p) in zip(others, compared, strict=True)
        ]
    rows = [{"name": row, "kind": kinds[row], "f1": to_builtins(summarize(values[row]))} for row in values]
    return {"rows": rows, "comparisons": comparisons}


def main() -> None:
    """Measure what is not measured yet."""
    parser = arguments(__doc__, seeds=10)
    parser.add_argument("--part", choices=PARTS, default="validation", help="of the videos, the one that is scored")
    given = parser.parse_args()
    jobs = [(given.out / name, given.runs, given.part, given.seeds) for name in set_names(given.out, given.sets)]
    in_parallel(measure, jobs, given.workers)


if __name__ == "__main__":
    main()
