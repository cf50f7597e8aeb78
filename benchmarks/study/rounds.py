"""ActionFormer after rounds of labeling: videos chosen by `sola select`, drawn at random, or all.

cd benchmarks && python -m study.rounds OUT RUNS --sets urfd --recipes auto [--seeds 3]

OUT and RUNS are those of `study.softening`. Videos are chosen from the training videos, and the detector is
evaluated on the validation videos: average mAP at tIoU .3:.1:.7. Seed i uses the i-th module, and determines the
choice and the detector. Detectors on raw features are trained on the videos chosen with `auto`. The settings are those
of the recipe `gtea`. Writes RUNS/SET/rounds.json.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.detectors.detect import detect
from sola.detectors.train import train_detector
from sola.evaluation.detections import evaluate
from sola.evaluation.metrics.protocol import thresholds
from sola.evaluation.selection import select_videos
from study.linear import FEW
from study.softening import arguments, in_parallel, labeled, set_names, softened

FIRST, SECOND, RANDOM, ALL = "first round", "second round", "random", "all"
BASES = ("auto", "raw")


def rounds(data: Dataset, seed: int) -> dict[str, Sequence[str]]:
    """Return the ids of the labeled videos, by round, given the features of `auto` for the training videos."""
    ids = {video.feature_id: video.id for video in data.videos}
    features = data.features.only(ids)
    first = select_videos(features, FEW, seed=seed).videos
    second = select_videos(features, FEW, labeled=first, seed=seed).videos
    drawn = np.random.default_rng(seed).choice(sorted(ids), FEW, replace=False).tolist()
    chosen = {FIRST: first, SECOND: (*first, *second), RANDOM: drawn, ALL: tuple(ids)}
    return {name: [ids[feature_id] for feature_id in videos] for name, videos in chosen.items()}


def measure(folder: Path, runs: Path, base: str, name: str, seed: int) -> tuple[str, str, int, float]:
    """Train a detector on the labeled videos of a round, and return its average mAP."""
    raw = labeled(folder)
    soft = raw.with_features(softened(runs, folder.name, "auto", seed), name="auto")
    data = soft if base == "auto" else raw
    training = data.subset("training").only(rounds(soft.subset("training"), seed)[name])
    out = runs / folder.name / "rounds" / f"{base}, {name}, {seed}"
    detector = train_detector(training, "actionformer", "gtea", out, resume=True, quiet=True, seed=seed)
    validation = data.subset("validation")
    result = evaluate(detect(detector, validation), validation, tiou=thresholds(0.3, 0.7, 0.1))
    return base, name, seed, result.average_map


def main() -> None:
    """Train missing detectors and write the results."""
    given = arguments(__doc__, seeds=3).parse_args()
    for name in set_names(given.out, given.sets):
        folder = given.out / name
        jobs = [
            (folder, given.runs, base, chosen, seed)
            for base in BASES
            for chosen in (FIRST, SECOND, RANDOM, ALL)
            for seed in range(given.seeds)
        ]
        results = in_parallel(measure, jobs, given.workers)
        write_json(given.runs / name / "rounds.json", sorted(results))


if __name__ == "__main__":
    main()
