"""Section C: how far the local-similarity assumption holds, in raw features, in controls, after SoLa; no head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sola.core.files import read_json
from sola.data.dataset import Dataset
from sola.data.snippet_labels import unit_vectors
from sola.evaluation.controls import Transform
from sola.evaluation.similarity import inspect, obeys, window_maps
from sola.studies.catalog import RAW, Experiment
from sola.studies.measuring import Measured, Metric, video_draws
from sola.studies.outcome import Row, comparisons
from sola.studies.pool import Pool
from sola.studies.work import FEATURES, fitted, make_module
from sola.studies.workspace import Data, Workspace
from sola.training.run import Run

WINDOWS = 32
"""Windows drawn from each video."""
GROUP = "assumption"
METRICS = (
    Metric("obedience", "windows that obey"),
    Metric("obedience_repeated", "…, videos that repeat an action"),
    Metric("obedience_once", "…, other videos"),
)
"""Shares of windows of the length that is trained on."""

Say = Callable[[str, int, int], None]
Video = Float[np.ndarray, "_ channels"]


@dataclass(frozen=True)
class Assumption:
    """Section C on one data set."""

    experiment: Experiment
    workspace: Workspace
    data: Data
    seeds: int

    def run(self, pool: Pool, say: Say) -> dict[str, Any]:
        """Train the modules that are missing, measure, and return the result as JSON has it."""
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
        rows = [Row(RAW, "raw", GROUP, (measured(seen(test)),), features=raw)]
        for name, control in controls.items():
            rows.append(Row(name, "control", GROUP, (measured(seen(test, control.at_seed(0))),)))
        relative = tuple(self.workspace.relative(run) for run in runs)
        made = tuple(f"{run}/{FEATURES}" for run in relative)
        of_seeds = tuple(measured(seen(one)) for one in modules)
        rows.append(Row(variant.name, "compared", GROUP, of_seeds, features=made, modules=relative))
        shown = {RAW: seen(test), "centered": seen(test, controls["centered"].at_seed(0))}
        shown[variant.name] = seen(modules[0])
        metrics = [metric for metric in METRICS if metric.key in of_seeds[0].figures]
        return {
            "experiment": self.experiment.name,
            "title": self.experiment.title,
            "lead": (
                f"Share of windows of {positions} snippets, {step} apart, whose near snippets are more alike than "
                f"their far ones; chance is one half. {len(test)} test videos, {int(repeats.sum())} of them with an "
                "action more than once."
            ),
            "data": self.data.to_json(),
            "seeds": self.seeds,
            "metrics": [{"key": one.key, "title": one.title, "percent": True} for one in metrics],
            "rows": [row.to_json(metrics, comparable=False) for row in rows],
            "comparisons": comparisons(rows, metrics, len(test)),
            "curves": curves(shown, repeats, step, positions),
            "notes": [],
        }


def curves(
    shown: Mapping[str, Sequence[Video]], repeats: Bool[np.ndarray, " videos"], step: int, positions: int
) -> dict[str, Any]:
    """Similarity against distance, and share of obedient windows by their length, also of videos that repeat."""
    whole, windows, obedience = {}, {}, {}
    for name, videos in shown.items():
        found = inspect(videos, step=step, positions=positions)
        whole[name] = [found.whole.distance.tolist(), found.whole.similarity.tolist()]
        windows[name] = [found.windows.distance.tolist(), found.windows.similarity.tolist()]
        obedience[name] = [found.obedience.length.tolist(), found.obedience.share.tolist()]
        if repeats.any() and not repeats.all():
            for which, chosen in (("repeated", repeats), ("once", ~repeats)):
                some = [video for video, taken in zip(videos, chosen, strict=True) if taken]
                part = inspect(some, step=step, positions=positions).obedience
                obedience[f"{name}, {which}"] = [part.length.tolist(), part.share.tolist()]
    return {"similarity": {"whole": whole, "windows": windows}, "obedience": obedience}


def _repeats(labels: np.ndarray) -> bool:
    """Whether an action is there more than once."""
    return len(labels) > len(np.unique(labels))


def _shares(videos: Sequence[Video], step: int, positions: int) -> Float[np.ndarray, " videos"]:
    """Share of obedient windows in each video; NaN where it holds no window."""
    generator = np.random.default_rng(0)
    shares = []
    for video in videos:
        maps = window_maps([unit_vectors(video)], step, positions, WINDOWS, generator)
        shares.append(float(obeys(maps).mean()) if len(maps) else np.nan)
    return np.array(shares)


def _measured(
    shares: Float[np.ndarray, " videos"], repeats: Bool[np.ndarray, " videos"], draws: np.ndarray
) -> Measured:
    """Mean share over videos: all, those that repeat an action, the others; a kind that is not there is left out."""
    figures, drawn = {}, {}
    valid = ~np.isnan(shares)
    for key, chosen in (("", valid), ("_repeated", valid & repeats), ("_once", valid & ~repeats)):
        if chosen.any():
            weights = draws * chosen
            total = weights.sum(axis=1)
            figures[f"obedience{key}"] = float(shares[chosen].mean())
            mean = (weights @ np.nan_to_num(shares)) / np.maximum(total, 1)
            drawn[f"obedience{key}"] = np.where(total > 0, mean, figures[f"obedience{key}"])
    return Measured(figures, drawn)
