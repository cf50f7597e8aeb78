"""The runs of one experiment: modules, controls, heads; several at once, none twice; then its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sola.core.files import read_json, write_json
from sola.data.features import FeatureSet
from sola.data.journal import is_finished
from sola.data.source import DataSource
from sola.detectors.base import DetectorConfig
from sola.evaluation.controls import SEEDED, SLOW_SIZES, SLOW_WIDTHS, WIDTHS
from sola.evaluation.probe import probe
from sola.evaluation.probe_result import ProbeResult
from sola.evaluation.results import Kind, Results, Row, StudyResult
from sola.evaluation.tables import study_lead
from sola.studies.catalog import CLASSES, RAW, TEST_VIDEOS, TRAINING_VIDEOS, Experiment, Variant
from sola.studies.measuring import Measured, measure, metrics
from sola.studies.outcome import comparisons, summaries
from sola.studies.pool import Job, Pool
from sola.studies.work import FEATURES, make_controls, make_head, make_module
from sola.studies.workspace import Workspace

KINDS: tuple[tuple[str, ...], ...] = (
    ("centered",),
    tuple(f"average {width}" for width in WIDTHS),
    tuple(f"centered, average {width}" for width in WIDTHS),
    tuple(f"slow {size}" for size in SLOW_SIZES)
    + tuple(f"slow {size}, average {width}" for size in SLOW_SIZES for width in SLOW_WIDTHS),
    ("whitened", "centered, whitened"),
    ("untrained direct",),
    ("untrained residual",),
)
"""Controls of a kind: a head stands on the one of each that linear evaluation finds best."""

Say = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Sweep:
    """One experiment on one data set."""

    experiment: Experiment
    workspace: Workspace
    data: DataSource
    heads: Mapping[str, DetectorConfig]
    seeds: int
    tiou: tuple[float, ...]
    controls: bool = True
    """Whether heads stand on controls too; linear evaluation has them all in any case."""

    def module(self, variant: Variant, seed: int) -> Path:
        """The run of a variant's module."""
        return self.workspace.module(variant.recipe.override(seed=seed))

    def modules(self) -> list[Job]:
        """Training and transforming of every module."""
        return [
            (make_module, (self.data, variant.recipe.override(seed=seed), self.module(variant, seed)))
            for seed in range(self.seeds)
            for variant in self.experiment.variants
        ]

    def linear(self) -> dict[str, Any]:
        """Linear evaluation of all modules, raw features and every control as JSON: ridge, all labels; done once."""
        modules = [
            self.workspace.relative(self.module(variant, seed))
            for variant in self.experiment.variants
            for seed in range(self.seeds)
        ]
        path = self.workspace.linear(modules)
        if not path.is_file():
            write_json(path, self._probed().to_json())
        found: dict[str, Any] = read_json(path, "linear evaluation")
        return found

    def _probed(self) -> ProbeResult:
        compared = {
            variant.name: [FeatureSet.open(self.module(variant, seed) / FEATURES) for seed in range(self.seeds)]
            for variant in self.experiment.variants
        }
        return probe(
            self.data.open(),
            compared,
            solver="ridge",
            seeds=self.seeds,
            train_subset=self.data.train_subset,
            test_subset=self.data.test_subset,
        )

    def chosen_controls(self, linear: Mapping[str, Any]) -> tuple[str, ...]:
        """The control of each kind with the best ROC-AUC on the test videos, which favors the controls."""
        if not self.controls:
            return ()
        measured = {row["name"]: row["roc_auc"]["mean"] for row in linear["rows"] if row["kind"] == "control"}
        chosen = []
        for kind in KINDS:
            # of several variants each has its own untrained likeness; the last one is the module as published
            chosen.append(max(kind, key=lambda name: measured.get(name, -np.inf)))
        return tuple(chosen)

    def control(self, name: str, seed: int) -> Path:
        """The features of a control; only modules without training depend on the seed."""
        like = self.experiment.variants[-1].recipe.override(seed=seed) if name in SEEDED else None
        return self.workspace.control(name, like)

    def control_jobs(self, chosen: Sequence[str]) -> list[Job]:
        """Writing of the chosen controls."""
        jobs: list[Job] = []
        for seed in range(self.seeds):
            names = [name for name in chosen if seed == 0 or name in SEEDED]
            folders = {name: self.control(name, seed) for name in names}
            like = self.module(self.experiment.variants[-1], seed) / FEATURES
            if any(not is_finished(folder) for folder in folders.values()):
                jobs.append((make_controls, (self.data, folders, like, seed)))
        return jobs

    def bases(self, chosen: Sequence[str]) -> dict[str, tuple[Kind, list[Path | None]]]:
        """What heads stand on: the name of each, its kind, and its features for every seed (None: raw)."""
        seeds = range(self.seeds)
        raw: list[Path | None] = [None] * self.seeds
        bases: dict[str, tuple[Kind, list[Path | None]]] = {RAW: ("raw", raw)}
        for name in chosen:
            bases[name] = ("control", [self.control(name, seed) for seed in seeds])
        for variant in self.experiment.variants:
            bases[variant.name] = ("compared", [self.module(variant, seed) / FEATURES for seed in seeds])
        return bases

    def head(self, head: str, features: Path | None, seed: int) -> tuple[DetectorConfig, Path]:
        """Config and run of a head."""
        config = replace(self.heads[head], seed=seed)
        return config, self.workspace.head(config, features)

    def run(self, pool: Pool, say: Say) -> StudyResult:
        """Run what is missing, measure, and return the result.

        Raises SolaError for bad data.
        """
        pool.run(self.modules(), lambda done, total: say("modules", done, total))
        say("linear evaluation", 0, 1)
        linear = self.linear()
        chosen = self.chosen_controls(linear)
        pool.run(self.control_jobs(chosen), lambda done, total: say("controls", done, total))
        bases = self.bases(chosen)
        runs = {
            (head, base, seed): self.head(head, features[seed], seed)
            for seed in range(self.seeds)
            for head in self.experiment.heads
            for base, (_, features) in bases.items()
        }
        jobs: list[Job] = [
            (make_head, (self.data, bases[base][1][seed], config, run))
            for (_, base, seed), (config, run) in runs.items()
        ]
        pool.run(jobs, lambda done, total: say("heads", done, total))
        found: list[Measured] = pool.run(
            [(measure, (self.data, run, self.tiou)) for _, run in runs.values()],
            lambda done, total: say("metrics", done, total),
        )
        by_run = dict(zip(runs, found, strict=True))
        rows, measured = [], {}
        for head in self.experiment.heads:
            for base, (kind, features) in bases.items():
                seeds = range(self.seeds)
                of_seeds = [by_run[head, base, seed] for seed in seeds]
                row = self._row(head, base, kind, features, of_seeds, [runs[head, base, seed][1] for seed in seeds])
                rows.append(row)
                measured[row.name] = of_seeds
        return self._result(rows, measured, linear)

    @cached_property
    def comparable(self) -> bool:
        """Whether the data are those of the published figures, as far as annotations and available features tell."""
        data = self.data.open()
        return (
            len(data.classes) == CLASSES
            and len(data.subset(self.data.train_subset)) >= TRAINING_VIDEOS
            and len(data.subset(self.data.test_subset)) >= TEST_VIDEOS
        )

    def _row(
        self,
        head: str,
        base: str,
        kind: Kind,
        features: Sequence[Path | None],
        measured: Sequence[Measured],
        runs: Sequence[Path],
    ) -> Row:
        variant = next((one for one in self.experiment.variants if one.name == base), None)
        by_head = {"raw": self.experiment.baseline, "compared": self.experiment.published}.get(kind) or {}
        published = by_head.get(head, variant.published if variant else None)
        raw = tuple(str(path.absolute()) for path in self.data.features)
        modules = [self.module(variant, seed) for seed in range(self.seeds)] if variant else []
        return Row(
            name=f"{head}: {base}" if len(self.experiment.heads) > 1 else base,
            kind=kind,
            summaries=summaries(measured, metrics(self.tiou)),
            group=head,
            published=None if published is None else dict(published),
            comparable=self.comparable,
            features=raw if kind == "raw" else tuple(self.workspace.relative(path) for path in features if path),
            modules=tuple(map(self.workspace.relative, modules)),
            heads=tuple(map(self.workspace.relative, runs)),
        )

    def _result(
        self, rows: Sequence[Row], measured: Mapping[str, Sequence[Measured]], linear: dict[str, Any]
    ) -> StudyResult:
        columns = metrics(self.tiou)
        videos = len(self.data.open_annotations().subset(self.data.test_subset).videos)
        results = Results(metrics=columns, rows=tuple(rows), comparisons=comparisons(rows, measured, columns, videos))
        return StudyResult(
            experiment=self.experiment.name,
            title=self.experiment.title,
            lead=study_lead(results, self.seeds, videos),
            data=self.data,
            seeds=self.seeds,
            metrics=results.metrics,
            rows=results.rows,
            comparisons=results.comparisons,
            linear=linear,
            stability=self.experiment.stability,
        )
