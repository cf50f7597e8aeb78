"""Named settings of a training."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.softlanding.config import TrainingConfig
from sola.softlanding.multiscale_config import LARGEST_STEP, MultiScaleConfig
from sola.softlanding.windows import fitting_step

Config = TrainingConfig | MultiScaleConfig
"""The settings of a training."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training by their names in `TrainingConfig`.

    Raises SolaError for an unknown setting, a value out of range, or a None that cannot be chosen.
    """

    settings: Mapping[str, Any]
    kind: ClassVar[type[Config]] = TrainingConfig
    """The config of the training."""
    choosable: ClassVar[tuple[str, ...]] = ()
    """Settings that may be None, and are then chosen from the features."""

    def __post_init__(self) -> None:
        known = {field.name for field in dataclasses.fields(self.kind)}
        for name, value in self.settings.items():
            if name not in known:
                raise SolaError(f"{name}: the recipe has no such setting; expected one of {', '.join(sorted(known))}")
            if value is None and name not in self.choosable and getattr(self.kind(), name) is not None:
                raise SolaError(f"{name}=None: expected a value")
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
        """Return the config, and the reason for each setting that is chosen from the features: here for none."""
        return self.kind(**self.settings), {}


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
        fits = fitting_step(
            [header.shape[0] for header in features.headers().values()], config.positions, config.margin
        )
        step = dataclasses.replace(config, largest_step=max(min(LARGEST_STEP, fits), 1)).steps[-1]
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
    """Features of your own: several steps at once, beside the input. Only how far windows fit is chosen."""
    return MultiScaleRecipe({"largest_step": None})


RECIPES: Mapping[str, Callable[[], Recipe]] = {recipe.__name__: recipe for recipe in (anet, hacs, thumos, gtea, auto)}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name. Raises SolaError when there is none."""
    if name not in RECIPES:
        raise SolaError(f"recipe {name!r}: no such recipe; expected one of {', '.join(RECIPES)}")
    return RECIPES[name]()
