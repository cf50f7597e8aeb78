"""Few-label evaluation with the videos chosen by `sola select`, compared with random and with the longest videos.

cd benchmarks && python -m study.selection OUT RUNS [--part validation|testing] [--seeds 5] [--sets NAME ...]

OUT and RUNS are those of `study.softening`. Ridge regression is fitted on the features of `auto`. Seed i uses
the i-th module and determines the clusters of the selection and `RANDOM` random choices. Random choices without both
action and background are redrawn; selections are not. Writes RUNS/SET/PART-selection.json.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.data.snippet_labels import LabeledVideos, label_videos, reader
from sola.evaluation.selection import select_videos
from sola.evaluation.statistics import roc_auc
from sola.training.linear import fit_ridge
from study.linear import FEW, PARTS
from study.softening import arguments, in_parallel, labeled, set_names, softened

RANDOM = 10
"""Number of random choices per seed."""

Figures = tuple[float, float, float]
"""ROC-AUC, class accuracy, and number of labeled snippets."""


def measure(folder: Path, runs: Path, part: str, seeds: int) -> Path:
    """Evaluate one set, unless the result exists."""
    path = runs / folder.name / f"{part}-selection.json"
    if path.exists():
        return path
    rows: dict[str, list[Figures]] = {"random": [], "longest": [], "selected": []}
    data = labeled(folder)
    train, test = label_videos(data.subset("training")), label_videos(data.subset(part))
    count = min(FEW, len(train.videos) - 1)
    for seed in range(seeds):
        features = softened(runs, folder.name, "auto", seed)
        score = scorer(data.with_features(features, name="auto"), train, test)
        rows["random"] += [score(train.draw(count, seed * RANDOM + number)) for number in range(RANDOM)]
        rows["longest"].append(score(np.argsort(train.lengths, kind="stable")[::-1][:count].tolist()))
        ids = {video.id: video.feature_id for video in data.videos}
        candidates = [ids[video] for video in train.videos]
        chosen = select_videos(features.only(candidates), count, seed=seed).videos
        rows["selected"].append(score([candidates.index(video) for video in chosen]))
    names = ("roc_auc", "class_accuracy", "snippets")
    results = {row: dict(zip(names, np.transpose(figures).tolist(), strict=True)) for row, figures in rows.items()}
    write_json(path, {"videos": count, "of": len(train.videos), "rows": results})
    return path


def scorer(data: Dataset, train: LabeledVideos, test: LabeledVideos) -> Callable[[Sequence[int]], Figures]:
    """Return a function that fits on the labels of given training videos and evaluates on the test videos."""
    read = reader(data)
    inputs: Float[np.ndarray, "snippets channels"] = train.stack(read)
    tested = test.stack(read)
    labels = test.flat_labels

    def score(chosen: Sequence[int]) -> Figures:
        few = train.take(sorted(chosen))
        fitted = fit_ridge(inputs[np.isin(train.flat_video, list(chosen))], few.flat_labels, lengths=few.lengths)
        area = roc_auc(labels.action, fitted.action(tested).astype(np.float64))
        right = labels.sets[labels.index[labels.action], fitted.classes(tested[labels.action])]
        return area, float(right.mean()), float(sum(few.lengths))

    return score


def main() -> None:
    """Compute missing results."""
    parser = arguments(__doc__, seeds=5)
    parser.add_argument("--part", choices=PARTS, default="validation", help="subset for evaluation")
    given = parser.parse_args()
    folders = [given.out / name for name in set_names(given.out, given.sets)]
    in_parallel(measure, [(folder, given.runs, given.part, given.seeds) for folder in folders], given.workers)


if __name__ == "__main__":
    main()
