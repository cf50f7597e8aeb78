"""Section C: how far the local-similarity assumption holds, in raw features, in controls, after SoLa; no head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sola.core.files import read_json
from sola.data.dataset import Dataset
from sola.data.snippet_labels import unit_vectors
from sola.data.source import DataSource
from sola.evaluation.controls import Transform
from sola.evaluation.results import Curve, Kind, Metric, Row, StudyCurves, StudyResult
from sola.evaluation.similarity import inspect, satisfies_assumption, window_maps
from sola.studies.catalog import RAW, Experiment
from sola.studies.measuring import Measured, video_draws
from sola.studies.outcome import comparisons, summaries
from sola.studies.pool import Pool
from sola.studies.work import FEATURES, fitted, make_module
from sola.studies.workspace import Workspace
from sola.training.run import Run

WINDOWS = 32
"""Windows drawn from each video."""
GROUP = "assumption"
METRICS = (
    Metric("assumption_share", "windows that satisfy the assumption"),
    Metric("assumption_share_repeated", "…, videos that repeat an action"),
    Metric("assumption_share_once", "…, other videos"),
)
"""Shares of windows of the length used in training."""

Say = Callable[[str, int, int], None]
Video = Float[np.ndarray, "_ channels"]


@dataclass(frozen=True)
class Assumption:
    """Section C on one data set."""

    experiment: Experiment
    workspace: Workspace
    data: DataSource
    seeds: int

    def run(self, pool: Pool, say: Say) -> StudyResult:
        """Train the modules that are missing, measure, and return the result."""
        (variant,) = self.experiment.variants
        recipes = [variant.recipe.override(seed=seed) for seed in range(self.seeds)]
        runs = [self.workspace.module(recipe) for recipe in recipes]
        jobs = [(make_module, (self.data, recipe, run)) for recipe, run in zip(recipes, runs, strict=True)]
        pool.run(jobs, lambda done, total: say("modules", done, total))
        say("similarity against distance", 0, 1)
        trained = read_json(Run(runs[0]).config, "a run's config")["training"]
        step, positions = int(trained["step"]), int(trained["positions"])

        data = self.data.open()
        test = data.subset(self.data.test_subset)
        repeats = np.array([_repeats(video.segments.label) for video in test.videos])
        training = data.subset(self.data.train_subset).features
        controls = {n: c for n, c in fitted(training, None).items() if not c.seeded}
        draws = video_draws(len(test))

        def seen(features: Dataset, change: Transform | None = None) -> list[Video]:
            videos = (features.read(video).astype(np.float32) for video in features.videos)
            return [video if change is None else change(video) for video in videos]

        def measured(videos: Sequence[Video]) -> Measured:
            return _measured(_shares(videos, step, positions), repeats, draws)

        modules = [test.with_features(run / FEATURES) for run in runs]
        raw = tuple(str(path.absolute()) for path in self.data.features)
        of_rows: dict[str, tuple[Kind, list[Measured]]] = {RAW: ("raw", [measured(seen(test))])}
        for name, control in controls.items():
            of_rows[name] = ("control", [measured(seen(test, control.at_seed(0)))])
        of_rows[variant.name] = ("compared", [measured(seen(one)) for one in modules])
        metrics = tuple(metric for metric in METRICS if metric.key in of_rows[RAW][1][0].values)
        relative = tuple(self.workspace.relative(run) for run in runs)
        folders = {"raw": raw, "compared": tuple(f"{run}/{FEATURES}" for run in relative)}
        rows = tuple(
            Row(
                name=name,
                kind=kind,
                summaries=summaries(seeds, metrics),
                group=GROUP,
                features=folders.get(kind, ()),
                modules=relative if kind == "compared" else (),
            )
            for name, (kind, seeds) in of_rows.items()
        )
        shown = {RAW: seen(test), "centered": seen(test, controls["centered"].at_seed(0))}
        shown[variant.name] = seen(modules[0])
        of_seeds = {name: seeds for name, (_, seeds) in of_rows.items()}
        return StudyResult(
            experiment=self.experiment.name,
            title=self.experiment.title,
            lead=(
                f"Share of windows of {positions} snippets, {step} apart, whose near snippets are more similar than "
                f"their far ones; chance is one half. {len(test)} test videos, {int(repeats.sum())} of them with an "
                "action more than once."
            ),
            data=self.data,
            seeds=self.seeds,
            metrics=metrics,
            rows=rows,
            comparisons=comparisons(rows, of_seeds, metrics, len(test)),
            curves=curves(shown, repeats, step, positions),
        )


def curves(
    shown: Mapping[str, Sequence[Video]], repeats: Bool[np.ndarray, " videos"], step: int, positions: int
) -> StudyCurves:
    """Similarity against distance, and the share of windows that satisfy the assumption, against their length."""
    whole: dict[str, Curve] = {}
    windows: dict[str, Curve] = {}
    shares: dict[str, Curve] = {}
    for name, videos in shown.items():
        found = inspect(videos, step=step, positions=positions)
        whole[name] = (found.whole.distance.tolist(), found.whole.similarity.tolist())
        windows[name] = (found.windows.distance.tolist(), found.windows.similarity.tolist())
        shares[name] = (found.assumption.length.tolist(), found.assumption.share.tolist())
        if repeats.any() and not repeats.all():
            for which, chosen in (("repeated", repeats), ("once", ~repeats)):
                some = [video for video, taken in zip(videos, chosen, strict=True) if taken]
                part = inspect(some, step=step, positions=positions).assumption
                shares[f"{name}, {which}"] = (part.length.tolist(), part.share.tolist())
    return StudyCurves(similarity={"whole": whole, "windows": windows}, assumption_share=shares)


def _repeats(labels: np.ndarray) -> bool:
    """Whether an action is there more than once."""
    return len(labels) > len(np.unique(labels))


def _shares(videos: Sequence[Video], step: int, positions: int) -> Float[np.ndarray, " videos"]:
    """Share of windows that satisfy the assumption in each video; NaN for a video without a window."""
    generator = np.random.default_rng(0)
    shares = []
    for video in videos:
        maps = window_maps([unit_vectors(video)], step, positions, WINDOWS, generator)
        shares.append(float(satisfies_assumption(maps).mean()) if len(maps) else np.nan)
    return np.array(shares)


def _measured(
    shares: Float[np.ndarray, " videos"], repeats: Bool[np.ndarray, " videos"], draws: np.ndarray
) -> Measured:
    """Mean share over videos: all, those that repeat an action, the others; a kind that is not there is left out."""
    values, drawn = {}, {}
    valid = ~np.isnan(shares)
    for key, chosen in (("", valid), ("_repeated", valid & repeats), ("_once", valid & ~repeats)):
        if chosen.any():
            weights = draws * chosen
            total = weights.sum(axis=1)
            values[f"assumption_share{key}"] = float(shares[chosen].mean())
            mean = (weights @ np.nan_to_num(shares)) / np.maximum(total, 1)
            drawn[f"assumption_share{key}"] = np.where(total > 0, mean, values[f"assumption_share{key}"])
    return Measured(values, drawn)
