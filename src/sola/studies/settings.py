"""How much an experiment does by default, and how little with `--quick`."""

from collections.abc import Iterable, Mapping

from sola.detectors import detector_family
from sola.detectors.base import DetectorConfig
from sola.softlanding.recipes import Recipe
from sola.studies.catalog import ExperimentName

SEEDS = 3
FIGURE_1_SEEDS: Mapping[str, int] = {"anet": 12, "hacs": 5}
"""Head trainings of Figure 1, by data set."""
QUICK_SEEDS = 2
QUICK_NOTE = "--quick: everything is small and hardly trained; these figures mean nothing."


def default_seeds(experiment: ExperimentName, recipe: str, *, quick: bool) -> int:
    """Seeds of module and head: the supplement's in Figure 1."""
    if quick:
        return QUICK_SEEDS
    return FIGURE_1_SEEDS.get(recipe, SEEDS) if experiment == "figure1" else SEEDS


def quick_module(recipe: Recipe) -> Recipe:
    """The same training, cut short: what matters is that every part of it runs."""
    return recipe.override(hidden=64, projector_hidden=64, epochs=30, windows_per_video=4, batch_size=64)


def detector_configs(
    names: Iterable[str], detector_recipe: str | None, recipe: str, *, quick: bool
) -> dict[str, DetectorConfig]:
    """Return the configs of detectors by name: of a recipe, or else the module's, or "anet" where there is none."""
    configs = {}
    for name in names:
        family = detector_family(name)
        chosen = detector_recipe or (recipe if recipe in family.recipes else "anet")
        configs[name] = family.recipe("quick" if quick else chosen)
    return configs
