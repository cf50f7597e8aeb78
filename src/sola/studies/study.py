"""Base of all studies: training of modules for all variants and seeds, and the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sola.data.source import DataSource
from sola.evaluation.results import Metric, Row, StudyResult
from sola.studies.catalog import Experiment
from sola.studies.measuring import Measured, comparisons
from sola.studies.pool import Pool
from sola.studies.runs import make_module
from sola.studies.workspace import Workspace

Progress = Callable[[str, int, int], None]
"""Called with (current step, completed units, total units)."""


@dataclass(frozen=True)
class Study:
    """One experiment on one data set."""

    experiment: Experiment
    workspace: Workspace
    data: DataSource
    seeds: int

    def train_modules(self, pool: Pool, progress: Progress) -> dict[str, list[Path]]:
        """Train missing modules. Return the run folders by variant, one per seed."""
        recipes = {v.name: [v.recipe.override(seed=n) for n in range(self.seeds)] for v in self.experiment.variants}
        runs = {name: [self.workspace.module(recipe) for recipe in by_seed] for name, by_seed in recipes.items()}
        pool.run(
            [(make_module, (self.data, recipes[name][n], runs[name][n])) for n in range(self.seeds) for name in runs],
            partial(progress, "modules"),
        )
        return runs

    @property
    def raw_features(self) -> tuple[str, ...]:
        """Absolute paths of the raw features."""
        return tuple(str(path.absolute()) for path in self.data.features)

    def result(
        self,
        rows: Sequence[Row],
        measured: Mapping[str, Sequence[Measured]],
        metrics: Sequence[Metric],
        videos: int,
        lead: str,
        **more: Any,
    ) -> StudyResult:
        """Return the result of the study; `measured` has the measurements of all seeds, by row name."""
        return StudyResult(
            experiment=self.experiment.name,
            title=self.experiment.title,
            lead=lead,
            data=self.data,
            seeds=self.seeds,
            metrics=tuple(metrics),
            rows=tuple(rows),
            comparisons=comparisons(rows, measured, metrics, videos),
            **more,
        )
