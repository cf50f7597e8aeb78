"""Section C: test of the local-similarity assumption on raw features, controls and features transformed by SoLa."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sola.core.files import read_json
from sola.data.dataset import Dataset
from sola.data.snippet_labels import unit_vectors
from sola.evaluation.results import Kind, Metric, Row, StudyCurves, StudyResult
from sola.evaluation.similarity import Video, inspect, satisfies_assumption, window_maps
from sola.report.plots import study_curves
from sola.report.sources import RAW
from sola.softlanding.transform import Transform
from sola.studies.measuring import Measured, summaries, video_draws
from sola.studies.pool import Pool
from sola.studies.runs import FEATURES, fitted
from sola.studies.study import Progress, Study
from sola.training.run import Run

WINDOWS = 32
"""Number of windows sampled from each video."""
GROUP = "assumption"
METRICS = (
    Metric("assumption_share", "windows that satisfy the assumption"),
    Metric("assumption_share_repeated", "…, videos that repeat an action"),
    Metric("assumption_share_once", "…, other videos"),
)
"""Shares for windows with the length used in training."""


@dataclass(frozen=True)
class Assumption(Study):
    """Section C on one data set."""

    def run(self, pool: Pool, progress: Progress) -> StudyResult:
        """Train missing modules, measure, and return the result."""
        ((variant, runs),) = self.train_modules(pool, progress).items()
        progress("similarity against distance", 0, 1)
        record = read_json(Run(runs[0]).config, "a run's config")
        trained, steps = record["training"], record["module"].get("steps")
        step = int(max(steps) if steps else trained["step"])
        positions = int(trained["positions"])

        data = self.data.open()
        test = data.subset(self.data.test_subset)
        repeats = np.array([len(v.segments) > len(np.unique(v.segments.label)) for v in test.videos])
        controls = {c.name: c.at_seed(0) for c in fitted(data.subset(self.data.train_subset)) if not c.seeded}
        modules = [test.with_features(run / FEATURES) for run in runs]
        draws = video_draws(len(test))

        def measured(features: Dataset, change: Transform | None = None) -> Measured:
            return _measured(_shares(_read(features, change), step, positions), repeats, draws)

        by_kind: dict[Kind, dict[str, list[Measured]]] = {
            "raw": {RAW: [measured(test)]},
            "control": {name: [measured(test, control)] for name, control in controls.items()},
            "compared": {variant: [measured(module) for module in modules]},
        }
        metrics = [metric for metric in METRICS if metric.key in by_kind["raw"][RAW][0].values]
        relative = tuple(map(self.workspace.relative, runs))
        folders = {"raw": self.raw_features, "compared": tuple(f"{run}/{FEATURES}" for run in relative)}
        rows = [
            Row(
                name=name,
                kind=kind,
                summaries=summaries(seeds, metrics),
                group=GROUP,
                features=folders.get(kind, ()),
                modules=relative if kind == "compared" else (),
            )
            for kind, by_name in by_kind.items()
            for name, seeds in by_name.items()
        ]
        shown = {RAW: _read(test), "centered": _read(test, controls["centered"]), variant: _read(modules[0])}
        lead = (
            f"Share of windows of {positions} snippets, {step} apart, in which near snippets are more similar than "
            f"distant snippets; chance is one half. {len(test)} test videos, of which {int(repeats.sum())} repeat an "
            "action."
        )
        measurements = {name: seeds for by_name in by_kind.values() for name, seeds in by_name.items()}
        curves = _curves(shown, repeats, step, positions)
        return self.result(rows, measurements, metrics, len(test), lead, curves=curves)


def _read(features: Dataset, change: Transform | None = None) -> list[Video]:
    """Read all videos in float32 and transform them."""
    videos = (features.read(video).astype(np.float32) for video in features.videos)
    return [video if change is None else change(video) for video in videos]


def _curves(
    shown: Mapping[str, Sequence[Video]], repeats: Bool[np.ndarray, " videos"], step: int, positions: int
) -> StudyCurves:
    """Return curves of all videos, plus shares for videos with and without repeated actions if both exist."""
    curves = study_curves({n: inspect(videos, step=step, positions=positions) for n, videos in shown.items()})
    if repeats.all() or not repeats.any():
        return curves
    shares = {}
    for name, videos in shown.items():
        shares[name] = curves.assumption_share[name]
        for which, mask in (("repeated", repeats), ("once", ~repeats)):
            chosen = [video for video, included in zip(videos, mask, strict=True) if included]
            part = inspect(chosen, step=step, positions=positions).assumption
            shares[f"{name}, {which}"] = (part.length.tolist(), part.share.tolist())
    return StudyCurves(curves.similarity, shares)


def _shares(videos: Sequence[Video], step: int, positions: int) -> Float[np.ndarray, " videos"]:
    """Return the share of windows that satisfy the assumption by video; NaN for videos without a window."""
    generator = np.random.default_rng(0)
    shares = []
    for video in videos:
        maps = window_maps([unit_vectors(video)], step, positions, WINDOWS, generator)
        shares.append(float(satisfies_assumption(maps).mean()) if len(maps) else np.nan)
    return np.array(shares)


def _measured(
    shares: Float[np.ndarray, " videos"], repeats: Bool[np.ndarray, " videos"], draws: np.ndarray
) -> Measured:
    """Return the mean share over all videos, and over videos with and without repeated actions; skip empty groups."""
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
