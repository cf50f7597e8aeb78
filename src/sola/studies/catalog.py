"""Definitions of the supplement's experiments: compared modules, published values and default numbers of seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sola.core.errors import SolaError
from sola.detectors import DETECTORS
from sola.softlanding.recipes import RECIPES, Recipe
from sola.softlanding.windows import window_length

ExperimentName = Literal["table1", "table2", "table3", "table5", "table6", "figure1", "sectionC"]
ControlChoice = Literal["all", "untrained", "none"]
"""All controls, only the untrained modules, or none."""
Published = Mapping[str, float]
"""Values on ActivityNet-1.3 as fractions, by metric key."""


def _map(*values: float) -> Published:
    return dict(zip(("mAP@0.50", "mAP@0.75", "mAP@0.95", "average_mAP"), values, strict=True))


def _recall(*values: float) -> Published:
    return dict(zip(("AR@1", "AR@10", "AR@100", "AUC"), values, strict=True))


BASELINE = _map(0.4978, 0.3446, 0.0796, 0.3384)
"""G-TAD on raw features of ActivityNet-1.3: the first row of every table."""
SOLA = _map(0.5117, 0.3570, 0.0831, 0.3499)
"""G-TAD after SoLa as published: adapter, similarity matching, asymmetric projector, K = 16, s = 8."""

CLASSES, TRAINING_VIDEOS, TEST_VIDEOS = 200, 9000, 4600
"""Number of classes and minimum numbers of videos of ActivityNet-1.3; some videos are no longer available."""

SEEDS = 3
FIGURE_1_SEEDS: Mapping[str, int] = {"anet": 12, "hacs": 5}
"""Number of seeds in Figure 1 of the supplement, by recipe."""
QUICK_SEEDS = 2
QUICK_NOTE = "--quick: the data are small and training is very short; these values are meaningless."


@dataclass(frozen=True)
class Variant:
    """A module of an experiment."""

    name: str
    recipe: Recipe
    published: Published | None = None


@dataclass(frozen=True)
class Experiment:
    """Modules to compare with raw features and controls, with each of the detectors."""

    name: ExperimentName
    title: str
    variants: tuple[Variant, ...]
    detectors: tuple[str, ...]
    baseline: Mapping[str, Published]
    """Published values on raw features, by detector."""
    published: Mapping[str, Published] | None = None
    """Published values after SoLa, by detector, if one module is evaluated with several detectors."""
    stability: bool = False
    """Show the standard deviation and effective rank of features during training."""


VARIANTS: Mapping[ExperimentName, tuple[str, Mapping[str, tuple[Mapping[str, Any], Published | None]]]] = {
    "table1": (
        "Table 1: the form of the module",
        {
            "SoLa, direct": ({"form": "direct"}, _map(0.5074, 0.3535, 0.0829, 0.3466)),
            "SoLa, adapter": ({"form": "adapter"}, SOLA),
        },
    ),
    "table2": (
        "Table 2: the loss",
        {
            "NT-Xent": ({"loss": "nt_xent"}, None),
            "softened, inside": ({"loss": "softened_inside"}, _map(0.4599, 0.3060, 0.0717, 0.3034)),
            "softened, outside": ({"loss": "softened_outside"}, _map(0.5021, 0.3514, 0.0840, 0.3440)),
            "similarity matching": ({"loss": "similarity_matching"}, SOLA),
        },
    ),
    "table3": ("Table 3: every detector", {"SoLa": ({}, None)}),
    "table5": (
        "Table 5: K of the target and the step s",
        {
            "K=4, s=8": ({"k": 4.0, "step": 8}, _map(0.5016, 0.3492, 0.0817, 0.3435)),
            "K=8, s=8": ({"k": 8.0, "step": 8}, _map(0.5059, 0.3529, 0.0794, 0.3453)),
            "K=32, s=8": ({"k": 32.0, "step": 8}, _map(0.5080, 0.3533, 0.0856, 0.3480)),
            "K=16, s=2": ({"k": 16.0, "step": 2}, _map(0.5063, 0.3539, 0.0823, 0.3469)),
            "K=16, s=4": ({"k": 16.0, "step": 4}, _map(0.5096, 0.3561, 0.0765, 0.3483)),
            "K=16, s=12": ({"k": 16.0, "step": 12}, _map(0.5088, 0.3537, 0.0758, 0.3464)),
            "K=16, s=8": ({"k": 16.0, "step": 8}, SOLA),
        },
    ),
    "table6": (
        "Table 6: the projector",
        {
            "symmetric": ({"projector": "symmetric"}, _map(0.4975, 0.3458, 0.0690, 0.3373)),
            "asymmetric": ({"projector": "asymmetric"}, SOLA),
        },
    ),
    "figure1": ("Figure 1: error bars", {"SoLa": ({}, SOLA)}),
    "sectionC": ("Section C: the local-similarity assumption", {"SoLa": ({}, None)}),
}
"""Title of each experiment, and its modules: changes to the recipe, and published values with G-TAD."""

TABLE3: Mapping[str, tuple[Published, Published]] = {
    "gtad": (BASELINE, SOLA),
    "actionformer": (_map(0.5022, 0.3381, 0.0775, 0.3319), _map(0.5164, 0.3481, 0.0802, 0.3421)),
    "bmn": (_recall(0.3359, 0.5679, 0.7505, 0.6716), _recall(0.3425, 0.5775, 0.7586, 0.6807)),
}
"""Published values on raw features and after SoLa, by detector."""


def experiment(name: ExperimentName, base: Recipe, detector: str) -> Experiment:
    """Return an experiment whose modules are variants of the recipe `base`.

    Table 3 ignores `detector` and uses all detectors; section C uses none. Raises SolaError if the recipe lacks the
    varied settings.
    """
    title, variants = VARIANTS[name]
    if missing := sorted(_varied(name) - base.values.keys()):
        raise SolaError(
            f"{name}: varies {', '.join(missing)}, which modules at several steps do not have; pass another --recipe"
        )
    modules = tuple(Variant(row, base.override(**changed), values) for row, (changed, values) in variants.items())
    if name == "table3":
        before, after = ({key: both[i] for key, both in TABLE3.items()} for i in (0, 1))
        detectors = (*TABLE3, *(model for model in DETECTORS if model not in TABLE3))
        return Experiment(name, title, modules, detectors, before, after)
    detectors = () if name == "sectionC" else (detector,)
    return Experiment(name, title, modules, detectors, {"gtad": BASELINE}, stability=name == "table6")


def require_windows(experiment: Experiment, longest: int) -> None:
    """Raise SolaError if the longest training video, in snippets, is shorter than the training window of a module."""
    for variant in experiment.variants:
        window = _window(variant.recipe)
        if window > longest:
            cures = [f"--recipe {name}" for name in RECIPES if _fits(experiment.name, name, longest)]
            cure = f"pass {' or '.join(cures)}" if cures else "no recipe helps: extract features with a smaller stride"
            raise SolaError(
                f"{experiment.name}: all training videos are shorter than a window of {variant.name!r}: the longest "
                f"has {longest} snippets, the window {window}; {cure}"
            )


def _fits(name: ExperimentName, recipe: str, longest: int) -> bool:
    """Return True if a recipe has the varied settings of an experiment and windows of at most `longest` snippets."""
    base = RECIPES[recipe]()
    return _varied(name) <= base.values.keys() and all(
        _window(variant.recipe) <= longest for variant in experiment(name, base, "gtad").variants
    )


def _varied(name: ExperimentName) -> set[str]:
    """Return the settings varied by the modules of an experiment."""
    return {setting for changed, _ in VARIANTS[name][1].values() for setting in changed}


def _window(recipe: Recipe) -> int:
    """Return the length of the shortest training window (snippets)."""
    values = recipe.values
    return window_length(values["positions"], values.get("step", 1), values["margin"])


def default_seeds(experiment: ExperimentName, recipe: str, *, quick: bool) -> int:
    """Return the default number of seeds; Figure 1 uses the number of the supplement."""
    if quick:
        return QUICK_SEEDS
    return FIGURE_1_SEEDS.get(recipe, SEEDS) if experiment == "figure1" else SEEDS


def quick_module(recipe: Recipe) -> Recipe:
    """Return the recipe with very short training, for a rehearsal."""
    small = {"hidden": 64, "projector_hidden": 64, "epochs": 30, "windows_per_video": 4, "batches": 4, "batch_size": 64}
    return recipe.override(**{name: value for name, value in small.items() if name in recipe.values})
