"""Linear evaluation (Table 4b): linear classifiers on frozen features, compared with controls."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from sola.core.checks import at_least, one_of
from sola.core.errors import SolaError
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.data.snippet_labels import LabeledVideos, Read, label_videos, reader
from sola.data.summary import split_summaries, summaries_json
from sola.evaluation.controls import NAMES, fit_controls
from sola.evaluation.probe_result import COMPARED, METRICS, ProbeResult
from sola.evaluation.results import Kind, Row, compare_rows
from sola.evaluation.statistics import (
    REPLICATES,
    Resampled,
    average_precision,
    bootstrap_weights,
    ordered_pairs,
    roc_auc,
    smallest_p,
    summarize,
    weighted_auc,
)
from sola.evaluation.untrained import untrained_like
from sola.softlanding.transform import Transform
from sola.training.linear import LinearClassifier, fit_ridge, fit_sgd

Solver = Literal["sgd", "ridge"]

Compared = FeatureSet | Dataset


def probe(
    data: Dataset,
    compare: Mapping[str, Compared | Sequence[Compared]] | None = None,
    *,
    solver: Solver = "sgd",
    videos: int | None = None,
    seeds: int = 1,
    train_subset: str = "training",
    test_subset: str = "validation",
    controls: bool = True,
    together: str | None = None,
    skipped: dict[str, str] | None = None,
    progress: Callable[[str, int, int], None] = lambda row, done, total: None,
) -> ProbeResult:
    """Fit linear classifiers on labeled training videos and evaluate them on test videos.

    The rows of the result are the raw features, controls (see `controls`) and the compared feature sets. Each snippet
    is L2-normalized. The seed determines the order and initial weights of SGD, the choice of labeled videos, and the
    weights of untrained modules. ROC-AUC and class accuracy are compared by a paired bootstrap over test videos, with
    Holm-corrected p-values.

    Args:
        data: raw features and their annotations.
        compare: other features of the same videos, by row name. Several feature sets in one row are different modules:
            seed i uses the i-th set, cyclically, and `seeds` is raised to their number.
        solver: "sgd" (as in Table 4b) or "ridge" (closed form).
        videos: number of labeled training videos, or None for all. Controls are always fitted on all training videos.
        seeds: number of repetitions.
        train_subset: subset for fitting classifiers and controls.
        test_subset: subset for evaluation.
        controls: include the controls.
        together: regular expression to group test videos, such as several camera views of a scene. Videos with the same
            match in their ids are resampled together; videos without a match are resampled separately.
        skipped: dictionary that receives the reasons for skipped videos, by feature id. Videos with bad raw features
            are skipped if the data set was opened with `skip_bad`.
        progress: called with (row, completed rows, total rows) before each row, and with ("", total, total) at the end.

    Returns:
        Rows with metrics over seeds, comparisons between rows, and the settings.

    Raises:
        SolaError: for an invalid regular expression, a subset without both action and background, a compared feature
            set with missing videos or other lengths, a row name that is taken, fewer training videos than `videos`, or
            bad features.

    Examples:
        >>> import sola
        >>> data = sola.Dataset.open("features", "annotations.json")
        >>> compared = {"sola": sola.FeatureSet.open("softened")}
        >>> result = sola.probe(data, compared, solver="ridge", controls=False)
        >>> [row.name for row in result.rows]
        ['raw', 'sola']
        >>> list(result.row("sola").summaries)
        ['roc_auc', 'average_precision', 'accuracy', 'balanced_accuracy', 'class_accuracy']
        >>> comparison = result.versus_raw("sola")
        >>> 0 < comparison.p <= comparison.p_corrected <= 1
        True
    """
    at_least(1, videos=videos, seeds=seeds)
    one_of(Solver, solver=solver)
    members = {}
    for name, compared in (compare or {}).items():
        sets = [compared] if isinstance(compared, Compared) else compared
        members[name] = [each.features if isinstance(each, Dataset) else each for each in sets]
    seeds = max([seeds, *map(len, members.values())])

    bad: dict[str, str] = {} if skipped is None else skipped
    for subset in (train_subset, test_subset):
        data.subset(subset).readable(bad)
    data = data.without(bad)
    summaries = split_summaries(data, train_subset, test_subset)
    train, test = label_videos(data.subset(train_subset)), label_videos(data.subset(test_subset))
    data = data.only({*train.videos, *test.videos})
    draws = [train.draw(len(train.videos) if videos is None else videos, seed) for seed in range(seeds)]
    raw = reader(data)
    sources = [_Source("raw", "raw", (raw,))]
    if controls:
        sources += _control_sources(raw, train, members, seeds)
    for name, feature_sets in members.items():
        if name in ("raw", *NAMES):
            raise SolaError(f"{name}: is the name of another row; give the compared features another name")
        readers = tuple(reader(data.with_features(features, name=name)) for features in feature_sets)
        sources.append(_Source(name, "compared", readers))

    evaluation = _Evaluation(train, test, draws, solver, _units(test.videos, together), repeats=videos is None)
    units = evaluation.units
    rows: list[Row] = []
    samples: dict[str, list[tuple[str, Kind, Resampled]]] = {metric: [] for metric in COMPARED}
    for done, source in enumerate(sources):
        progress(source.name, done, len(sources))
        figures, replicates = evaluation.run(source)
        rows.append(Row(source.name, source.kind, {metric: summarize(values) for metric, values in figures.items()}))
        for metric, values in replicates.items():
            samples[metric].append((source.name, source.kind, Resampled(float(np.mean(figures[metric])), values)))
    progress("", len(sources), len(sources))

    settings = {
        "solver": solver,
        "videos": videos,
        "seeds": seeds,
        "train_subset": train_subset,
        "test_subset": test_subset,
        "train_videos": len(train.videos),
        "train_snippets": sum(train.lengths),
        "test_videos": len(test.videos),
        "test_snippets": sum(test.lengths),
        "classes": len(data.classes),
        "normalization": "each snippet to unit L2 norm",
        "p_values": {
            "metrics": COMPARED,
            "test": "paired bootstrap over the test videos, two-sided",
            "together": together,
            "units": units,
            "replicates": REPLICATES,
            "smallest": smallest_p(units),
            "correction": "Holm by family: compared against raw, controls against raw, each compared against controls",
        },
        "data": summaries_json(*summaries),
        # how each module was trained, from its manifest
        "compared": {name: [features.manifest.sola for features in each] for name, each in members.items()},
    }
    comparisons = tuple(
        comparison for metric, resampled in samples.items() for comparison in compare_rows(resampled, metric, units)
    )
    return ProbeResult(metrics=METRICS, rows=tuple(rows), comparisons=comparisons, settings=settings)


def _units(videos: Sequence[str], together: str | None) -> Int[np.ndarray, " videos"]:
    """Return the index of each video's resampling unit."""
    try:
        pattern = None if together is None else re.compile(together)
    except re.error as error:
        raise SolaError(f"together={together!r}: not a regular expression ({error})") from None
    matches = [None if pattern is None else pattern.search(video) for video in videos]
    names = [
        (video, "") if match is None else ("", match.group()) for video, match in zip(videos, matches, strict=True)
    ]
    positions = {name: position for position, name in enumerate(dict.fromkeys(names))}
    return np.array([positions[name] for name in names])


@dataclass(frozen=True, eq=False)
class _Source:
    """Features of a row; seed i uses the i-th reader, cyclically."""

    name: str
    kind: Kind
    readers: tuple[Read, ...]


class _Evaluation:
    """Evaluation of all rows with the same labels, draws and bootstrap. One row is in memory at a time."""

    def __init__(
        self,
        train: LabeledVideos,
        test: LabeledVideos,
        draws: Sequence[Sequence[int]],
        solver: Solver,
        unit: Int[np.ndarray, " videos"],
        *,
        repeats: bool,
    ) -> None:
        # do not read training videos that no seed uses
        drawn = sorted(set().union(*draws))
        self.train, self.test = train.take(drawn), test
        self.draws = [tuple(map(drawn.index, draw)) for draw in draws]
        self.solver = solver
        self.deterministic = repeats and solver == "ridge"
        self.labels = test.flat_labels
        self.action = self.labels.action
        self.unit = unit[test.flat_video]
        self.units = int(unit.max()) + 1
        self.positives = np.bincount(self.unit[self.action], minlength=self.units)
        self.negatives = np.bincount(self.unit[~self.action], minlength=self.units)
        self.weights = bootstrap_weights(self.positives, self.negatives)

    def run(self, source: _Source) -> tuple[dict[str, list[float]], dict[str, Float[np.ndarray, " replicates"]]]:
        """Return a row's metrics by seed, and the replicates of the mean over seeds of the metrics in `COMPARED`."""
        seeds = len(self.draws)
        scored: list[dict[str, float]] = [{}] * seeds
        pairs, right = np.zeros((self.units, self.units)), np.zeros(self.units)
        for first, read in enumerate(source.readers):
            train, test = self.train.stack(read), self.test.stack(read)
            for seed in range(first, seeds, len(source.readers)):
                if seed == first or not self.deterministic:
                    figures, ordered, named = self.score(self.fit(train, seed), test)
                scored[seed] = figures
                pairs += ordered / seeds
                right += named / seeds
        by_metric = {metric.key: [figures[metric.key] for figures in scored] for metric in METRICS}
        return by_metric, {
            "roc_auc": weighted_auc(pairs, self.positives, self.negatives, self.weights),
            "class_accuracy": (self.weights @ right) / (self.weights @ self.positives),
        }

    def fit(self, features: Float[np.ndarray, "snippets channels"], seed: int) -> LinearClassifier:
        """Fit a classifier on the labeled videos of a seed."""
        drawn = self.train.take(self.draws[seed])
        if len(drawn.videos) < len(self.train.videos):
            features = features[np.isin(self.train.flat_video, self.draws[seed])]
        if self.solver == "sgd":
            return fit_sgd(features, drawn.flat_labels, seed=seed)
        return fit_ridge(features, drawn.flat_labels, lengths=drawn.lengths)

    def score(
        self, classifier: LinearClassifier, features: Float[np.ndarray, "snippets channels"]
    ) -> tuple[dict[str, float], Float[np.ndarray, "units units"], Int[np.ndarray, " units"]]:
        """Return the metrics on the test videos, and by unit the ordered pairs and correctly classified snippets."""
        score = classifier.action(features).astype(np.float64)
        right = (score > 0) == self.action
        right_class = self.labels.sets[self.labels.index[self.action], classifier.classes(features[self.action])]
        figures = {
            "roc_auc": roc_auc(self.action, score),
            "average_precision": average_precision(self.action, score),
            "accuracy": float(right.mean()),
            "balanced_accuracy": float((right[self.action].mean() + right[~self.action].mean()) / 2),
            "class_accuracy": float(right_class.mean()),
        }
        named = np.bincount(self.unit[self.action][right_class], minlength=self.units)
        return figures, ordered_pairs(score, self.action, self.unit, self.units), named


def _control_sources(
    raw: Read,
    train: LabeledVideos,
    members: Mapping[str, Sequence[FeatureSet]],
    seeds: int,
) -> list[_Source]:
    """Fit the controls on all training videos; each compared module has its own untrained controls."""
    untrained = {}
    for name, sets in members.items():
        modules = [features.manifest.sola for features in sets]
        likes = tuple(untrained_like(module) for module in modules if module is not None)
        if likes:
            untrained[name] = likes
    sources = []
    for control in fit_controls((raw(video) for video in train.videos), untrained):
        transforms = [control.at_seed(seed) for seed in range(seeds if control.seeded else 1)]
        sources.append(_Source(control.name, "control", tuple(_through(raw, change) for change in transforms)))
    return sources


def _through(raw: Read, transform: Transform) -> Read:
    return lambda video: transform(raw(video))
