"""Sweep over all runs of an experiment (modules, controls and detectors) in parallel, and its result rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.data.journal import is_finished
from sola.detectors import detector_family
from sola.detectors.base import DetectorConfig
from sola.evaluation.controls import SEEDED, SLOW_SIZES, SLOW_WIDTHS, WIDTHS
from sola.evaluation.probe import probe
from sola.evaluation.results import Kind, Row, StudyResult
from sola.evaluation.tables import study_lead
from sola.report.sources import RAW
from sola.studies.catalog import CLASSES, TEST_VIDEOS, TRAINING_VIDEOS, ControlChoice
from sola.studies.measuring import Measured, measure, metrics, summaries
from sola.studies.pool import Job, Pool
from sola.studies.runs import FEATURES, make_controls, make_detector
from sola.studies.study import Progress, Study

CONTROLS: tuple[tuple[str, ...], ...] = (
    ("centered",),
    tuple(f"average {width}" for width in WIDTHS),
    tuple(f"centered, average {width}" for width in WIDTHS),
    tuple(f"slow {size}" for size in SLOW_SIZES)
    + tuple(f"slow {size}, average {width}" for size in SLOW_SIZES for width in SLOW_WIDTHS),
    ("whitened", "centered, whitened"),
    ("untrained direct",),
    ("untrained residual",),
)
"""Controls by kind. Detectors are trained on the best control of each kind in linear evaluation."""


@dataclass(frozen=True)
class Base:
    """Features for training detectors."""

    name: str
    kind: Kind
    folders: Sequence[Path | None]
    """Feature folder per seed; None for raw features."""
    modules: Sequence[Path] = ()
    """Run folders of the modules, one per seed."""


@dataclass(frozen=True)
class Sweep(Study):
    """An experiment that trains detectors."""

    detectors: Mapping[str, DetectorConfig]
    tiou: tuple[float, ...]
    controls: ControlChoice = "all"
    """Controls on which detectors are trained. Linear evaluation always includes all controls."""

    def run(self, pool: Pool, progress: Progress) -> StudyResult:
        """Execute missing runs, evaluate, and return the result. Raises SolaError for bad data."""
        seeds = range(self.seeds)
        modules = self.train_modules(pool, progress)
        progress("linear evaluation", 0, 1)
        linear = self._linear(modules)
        bases = [Base(RAW, "raw", [None] * self.seeds)]
        names = [name for name in best_controls(linear) if self.controls == "all" or name in SEEDED]
        if self.controls != "none":
            bases += self._train_controls(names, list(modules.values())[-1], pool, progress)
        bases += [Base(name, "compared", [run / FEATURES for run in each], each) for name, each in modules.items()]
        configs = {
            (detector, base.name, seed): replace(self.detectors[detector], seed=seed)
            for seed in seeds
            for detector in self.experiment.detectors
            for base in bases
        }
        folders = {base.name: base.folders for base in bases}
        runs = {key: self.workspace.detector(config, folders[key[1]][key[2]]) for key, config in configs.items()}
        jobs: list[Job] = [
            (make_detector, (self.data, folders[key[1]][key[2]], configs[key], run)) for key, run in runs.items()
        ]
        pool.run(jobs, partial(progress, "detectors"))
        jobs = [(measure, (self.data, run, self.tiou)) for run in runs.values()]
        by_run = dict(zip(runs, pool.run(jobs, partial(progress, "metrics")), strict=True))

        comparable = self._is_comparable(self.data.open())
        videos = len(self.data.open_annotations().subset(self.data.test_subset).videos)
        rows, measured = [], {}
        for detector in self.experiment.detectors:
            for base in bases:
                keys = [(detector, base.name, seed) for seed in seeds]
                by_seed = [by_run[key] for key in keys]
                rows.append(self._row(detector, base, comparable, by_seed, [runs[key] for key in keys]))
                measured[rows[-1].name] = by_seed
        result = self.result(
            rows, measured, metrics(self.tiou), videos, "", linear=linear, stability=self.experiment.stability
        )
        return msgspec.structs.replace(result, lead=study_lead(result, self.seeds, videos))

    def _linear(self, modules: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
        """Return the linear evaluation of raw features, modules and controls (ridge, all labels) as JSON; cached."""
        path = self.workspace.linear([self.workspace.relative(run) for runs in modules.values() for run in runs])
        if not path.is_file():
            result = probe(
                self.data.open(),
                {name: [self.data.open_features(run / FEATURES) for run in runs] for name, runs in modules.items()},
                solver="ridge",
                seeds=self.seeds,
                train_subset=self.data.train_subset,
                test_subset=self.data.test_subset,
            )
            write_json(path, result.to_json())
        values: dict[str, Any] = read_json(path, "linear evaluation")
        return values

    def _train_controls(
        self, names: Sequence[str], modules: Sequence[Path], pool: Pool, progress: Progress
    ) -> list[Base]:
        """Write the features of controls. Untrained controls depend on the seed and have the shape of `modules`."""
        folders = {
            name: [self.workspace.control(name, run if name in SEEDED else None) for run in modules] for name in names
        }
        jobs: list[Job] = []
        for seed, run in enumerate(modules):
            required = {name: folders[name][seed] for name in names if seed == 0 or name in SEEDED}
            if not all(map(is_finished, required.values())):
                jobs.append((make_controls, (self.data, required, run / FEATURES, seed)))
        pool.run(jobs, partial(progress, "controls"))
        return [Base(name, "control", by_seed) for name, by_seed in folders.items()]

    def _is_comparable(self, data: Dataset) -> bool:
        """Return True if the data set is as large as ActivityNet-1.3, the data set of the published values."""
        return (
            len(data.classes) == CLASSES
            and len(data.subset(self.data.train_subset)) >= TRAINING_VIDEOS
            and len(data.subset(self.data.test_subset)) >= TEST_VIDEOS
        )

    def _row(
        self, detector: str, base: Base, comparable: bool, measured: Sequence[Measured], runs: Sequence[Path]
    ) -> Row:
        reported = next((v.published for v in self.experiment.variants if v.name == base.name), None)
        by_detector = {"raw": self.experiment.baseline, "compared": self.experiment.published}.get(base.kind) or {}
        published = by_detector.get(detector, reported)
        relative = self.workspace.relative
        return Row(
            name=f"{detector}: {base.name}" if len(self.experiment.detectors) > 1 else base.name,
            kind=base.kind,
            summaries=summaries(measured, metrics(self.tiou)),
            group=detector,
            published=None if published is None else dict(published),
            comparable=comparable,
            features=tuple(relative(path) for path in base.folders if path) or self.raw_features,
            modules=tuple(map(relative, base.modules)),
            detectors=tuple(map(relative, runs)),
        )


def best_controls(linear: Mapping[str, Any]) -> list[str]:
    """Return the control of each kind with the best ROC-AUC. Choosing on the test videos favors the controls."""
    measured = {row["name"]: row["roc_auc"]["mean"] for row in linear["rows"] if row["kind"] == "control"}
    return [max(kind, key=lambda name: measured.get(name, -np.inf)) for kind in CONTROLS]


def detector_configs(
    names: Iterable[str], detector_recipe: str | None, recipe: str, *, quick: bool
) -> dict[str, DetectorConfig]:
    """Return the configs of detectors by name.

    The recipe is `detector_recipe` if given, else the module's `recipe` if the detector has it, else "anet".
    """
    configs = {}
    for name in names:
        family = detector_family(name)
        chosen = detector_recipe or (recipe if recipe in family.recipes else "anet")
        configs[name] = family.recipe("quick" if quick else chosen)
    return configs
