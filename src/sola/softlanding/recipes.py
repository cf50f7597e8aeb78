"""Named settings of a training, of which some are chosen from the features."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.softlanding.config import TrainingConfig
from sola.softlanding.multiscale_config import LARGEST_STEP, MultiScaleConfig
from sola.softlanding.windows import longest_step

Config = TrainingConfig | MultiScaleConfig
"""The settings of a training."""

FROM_SUGGESTION = ("step", "k", "conditioning", "smoothing")
FROM_FEATURES = (*FROM_SUGGESTION, "windows_per_video", "epochs")
"""Settings that can be chosen from the features."""
BATCHES = 800
"""Batches in a training whose epochs are chosen."""
BATCHES_PER_EPOCH = 8
"""Least batches in an epoch whose windows are chosen."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training by their names in `TrainingConfig`; those that are None are chosen from the features.

    Raises SolaError for an unknown setting, a value out of range, or a None that cannot be chosen.
    """

    settings: Mapping[str, Any]
    kind: ClassVar[type[Config]] = TrainingConfig
    """The config of the training."""
    choosable: ClassVar[tuple[str, ...]] = FROM_FEATURES
    """Settings that can be chosen from the features."""

    def __post_init__(self) -> None:
        known = {field.name for field in dataclasses.fields(self.kind)}
        for name, value in self.settings.items():
            if name not in known:
                raise SolaError(f"{name}: no such setting of a training; expected one of {', '.join(sorted(known))}")
            if value is None and name not in self.choosable and getattr(self.kind(), name) is not None:
                can = ", ".join(self.choosable)
                raise SolaError(f"{name}=None: cannot be chosen from the features; only {can} can")
        self.kind(**{name: value for name, value in self.settings.items() if name not in self._open})

    @property
    def values(self) -> dict[str, Any]:
        """All settings, with the defaults of those that the recipe does not have."""
        return {**vars(self.kind()), **self.settings}

    @property
    def _open(self) -> list[str]:
        """Settings that are chosen from the features."""
        return [name for name in self.choosable if self.settings.get(name, 0) is None]

    def override(self, **settings: Any) -> "Recipe":
        """Return the recipe with these settings replaced."""
        return replace(self, settings={**self.settings, **settings})

    def resolve(self, features: FeatureSet) -> tuple[Config, dict[str, str]]:
        """Choose what is None from the features, without labels; return the config and the reason for each choice.

        Raises SolaError for features that are bad or too short.
        """
        from sola.softlanding.auto import suggest

        known = {name: value for name, value in self.settings.items() if value is not None}
        missing = [name for name in self.settings if name not in known]
        config, reasons = TrainingConfig(**known), dict[str, str]()
        if wanted := [name for name in FROM_SUGGESTION if name in missing]:
            suggestion = suggest(features, seed=config.seed, positions=config.positions, margin=config.margin)
            suggested = vars(suggestion) | {"conditioning": "center+scale" if suggestion.center else "scale"}
            config = dataclasses.replace(config, **{name: suggested[name] for name in wanted})
            reasons = {name: suggestion.reasons[name] for name in wanted}
        if {"windows_per_video", "epochs"}.intersection(missing):
            config = _with_length(config, features, missing, reasons)
        return config, reasons


class MultiScaleRecipe(Recipe):
    """Settings of a multi-scale training by their names in `MultiScaleConfig`."""

    kind = MultiScaleConfig
    choosable = ("largest_step",)

    def resolve(self, features: FeatureSet) -> tuple[MultiScaleConfig, dict[str, str]]:
        """Choose the largest step if it is open: `LARGEST_STEP`, unless its windows do not fit four videos of five."""
        known = {name: value for name, value in self.settings.items() if name not in self._open}
        config = MultiScaleConfig(**known)
        if not self._open:
            return config, {}
        lengths = [header.shape[0] for header in features.headers().values()]
        fits = longest_step(int(np.quantile(lengths, 0.2, method="lower")), config.positions, config.margin)
        step = max(min(LARGEST_STEP, fits), 1)
        reason = f"modules at steps 1, 2, 4, ...; windows that fit into most videos have a step of at most {fits}"
        return dataclasses.replace(config, largest_step=step), {"largest_step": reason}


def anet() -> Recipe:
    """ActivityNet-1.3, as published: Table 4a of the supplement."""
    return Recipe({})


def hacs() -> Recipe:
    """HACS Segments, as published: the config of the authors' code."""
    return Recipe({"step": 2, "hidden": 512, "epochs": 150})


def thumos() -> Recipe:
    """THUMOS14, ours, for 7.5 features per second: windows of about 4 s, eight from each of the few, long videos."""
    return Recipe({"step": 4, "hidden": 512, "windows_per_video": 8, "epochs": 150})


def gtea() -> Recipe:
    """GTEA, ours, for 15 features per second: windows of about 4 s, a dozen from each of 21 videos."""
    return Recipe({"step": 8, "hidden": 256, "windows_per_video": 12, "epochs": 500})


def auto() -> Recipe:
    """Features of your own: chosen from the features, the rest on the validation videos of docs/benchmark.md.

    There is no projector, since with dropout it lowers the loss instead of the module. The high learning rate opens the
    gate within few batches.
    """
    return Recipe(
        {
            **dict.fromkeys(("step", "k", "smoothing", "windows_per_video", "epochs")),
            "conditioning": "center+scale",
            "hidden": 512,
            "dropout": 0.8,
            "projector": "symmetric",
            "batch_size": 128,
            "learning_rate": 5e-3,
        }
    )


def multiscale() -> Recipe:
    """Features of your own, at several steps beside the input: nothing has to be chosen but how far windows fit."""
    return MultiScaleRecipe({"largest_step": None})


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe for recipe in (anet, hacs, thumos, gtea, auto, multiscale)
}


SINGLE = tuple(name for name, recipe in RECIPES.items() if recipe().kind is TrainingConfig)
"""Names of the recipes of a single module, which the tables of the supplement vary."""


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name. Raises SolaError when there is none."""
    if name not in RECIPES:
        raise SolaError(f"recipe {name!r}: no such recipe; expected one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def _with_length(
    config: TrainingConfig, features: FeatureSet, missing: list[str], reasons: dict[str, str]
) -> TrainingConfig:
    """Choose the number of windows per video and of epochs, and add the reasons."""
    lengths = [header.shape[0] for header in features.headers().values()]
    videos = max(sum(length >= config.window for length in lengths), 1)
    if "windows_per_video" in missing:
        each = math.ceil(BATCHES_PER_EPOCH * config.batch_size / videos)
        config = dataclasses.replace(config, windows_per_video=each)
        reasons["windows_per_video"] = (
            f"{videos} videos are as long as a window, and {BATCHES_PER_EPOCH} batches of {config.batch_size} make an "
            "epoch"
        )
    if "epochs" in missing:
        batches = math.ceil(videos * config.windows_per_video / config.batch_size)
        config = dataclasses.replace(config, epochs=max(round(BATCHES / batches), 1))
        reasons["epochs"] = f"an epoch has {batches} batches with the last, and about {BATCHES} are enough"
    return config
