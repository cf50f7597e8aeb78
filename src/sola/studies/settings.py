"""How much an experiment does by default, and how little with `--quick`."""

from collections.abc import Mapping
from dataclasses import replace

from sola.data.synthetic import SyntheticWorld
from sola.detectors.recipes import DetectorName, actionformer_gtea, bmn_anet, gtad_gtea
from sola.softlanding.config import TrainingConfig
from sola.softlanding.recipes import Recipe
from sola.studies.catalog import ExperimentName
from sola.studies.workspace import HeadConfig

SEEDS = 3
FIGURE_1_SEEDS: Mapping[str, int] = {"anet": 12, "hacs": 5}
"""Head trainings of Figure 1, by data set."""
QUICK_SEEDS = 2
QUICK_WORLD = SyntheticWorld(training_videos=48, validation_videos=24, channels=64)
"""Data of --quick if no features are given."""
QUICK_NOTE = "--quick: everything is small and hardly trained; these figures mean nothing."


def default_seeds(experiment: ExperimentName, recipe: Recipe, *, quick: bool) -> int:
    """Seeds of module and head: the supplement's in Figure 1."""
    if quick:
        return QUICK_SEEDS
    return FIGURE_1_SEEDS.get(recipe, SEEDS) if experiment == "figure1" else SEEDS


def quick_module(config: TrainingConfig) -> TrainingConfig:
    """The same training, cut short: what matters is that every part of it runs."""
    return replace(config, hidden=64, projector_hidden=64, epochs=30, windows_per_video=4, batch_size=64)


def quick_heads() -> dict[DetectorName, HeadConfig]:
    """The three heads, small and hardly trained."""
    few = {"length": 40, "epochs": 3, "decay_every": 3, "batch_size": 8, "classifier_epochs": 20, "keep": 100}
    gtad = replace(gtad_gtea(), **few, span=None, hop=None, max_duration=None, bins=16)  # type: ignore[arg-type]
    actionformer = replace(
        actionformer_gtea(), pace=2, length=192, width=32, levels=4, epochs=4, warmup_epochs=1, batch_size=4
    )
    return {"gtad": gtad, "bmn": replace(bmn_anet(), **few), "actionformer": actionformer}  # type: ignore[arg-type]
