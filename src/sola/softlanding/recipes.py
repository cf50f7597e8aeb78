"""Named sets of training settings."""

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
"""Settings for training a module."""


@dataclass(frozen=True)
class Recipe:
    """Training settings that differ from the defaults of `TrainingConfig`.

    Args:
        settings: values by field name of the config. A setting in `choosable` may be None, to choose it from the
            features.

    Raises:
        SolaError: if a setting is unknown, out of range, or None without being choosable.

    Examples:
        >>> import sola
        >>> recipe = sola.RECIPES["hacs"]().override(epochs=10)
        >>> recipe.settings
        {'step': 2, 'hidden': 512, 'epochs': 10}
        >>> config, reasons = sola.RECIPES["auto"]().resolve(sola.FeatureSet.open("features"))
        >>> config.steps  # chosen so that windows fit most videos
        (1, 2, 4, 8)
    """

    settings: Mapping[str, Any]
    """Values by field name of the config."""
    kind: ClassVar[type[Config]] = TrainingConfig
    """Class of the config."""
    choosable: ClassVar[tuple[str, ...]] = ()
    """Names of settings that may be None, to be chosen from the features."""

    def __post_init__(self) -> None:
        known = {field.name for field in dataclasses.fields(self.kind)}
        for name, value in self.settings.items():
            if name not in known:
                raise SolaError(f"{name}: not a setting of the recipe; expected one of {', '.join(sorted(known))}")
            if value is None and name not in self.choosable and getattr(self.kind(), name) is not None:
                raise SolaError(f"{name}=None: expected a value")
        self.kind(**{name: value for name, value in self.settings.items() if name not in self._open})

    @property
    def values(self) -> dict[str, Any]:
        """All settings, with defaults where the recipe has no value."""
        return {**vars(self.kind()), **self.settings}

    @property
    def _open(self) -> list[str]:
        """Names of the settings that are to be chosen from the features."""
        return [name for name in self.choosable if self.settings.get(name, 0) is None]

    def override(self, **settings: Any) -> "Recipe":
        """Return a copy of the recipe with these settings replaced.

        Raises:
            SolaError: if a setting is unknown or out of range.
        """
        return replace(self, settings={**self.settings, **settings})

    def resolve(self, features: FeatureSet) -> tuple[Config, dict[str, str]]:
        """Return the config, and by name the reason for each setting that was chosen from the features."""
        return self.kind(**self.settings), {}


class MultiScaleRecipe(Recipe):
    """Training settings that differ from the defaults of `MultiScaleConfig`."""

    kind = MultiScaleConfig
    choosable = ("largest_step",)

    def resolve(self, features: FeatureSet) -> tuple[MultiScaleConfig, dict[str, str]]:
        """Return the config, and by name the reason for each setting that was chosen from the features.

        If `largest_step` is None, it becomes `LARGEST_STEP`, or less so that windows fit in 80% of the videos.
        """
        known = {name: value for name, value in self.settings.items() if name not in self._open}
        config = MultiScaleConfig(**known)
        if not self._open:
            return config, {}
        fits = fitting_step(
            [header.shape[0] for header in features.headers().values()], config.positions, config.margin
        )
        step = dataclasses.replace(config, largest_step=max(min(LARGEST_STEP, fits), 1)).steps[-1]
        reason = f"modules at steps 1, 2, 4, ...; windows that fit most videos have a step of at most {fits}"
        return dataclasses.replace(config, largest_step=step), {"largest_step": reason}


def anet() -> Recipe:
    """Return the published settings for ActivityNet-1.3 (Table 4a of the supplement)."""
    return Recipe({})


def hacs() -> Recipe:
    """Return the published settings for HACS Segments (config of the authors' code)."""
    return Recipe({"step": 2, "hidden": 512, "epochs": 150})


def thumos() -> Recipe:
    """Return settings for THUMOS14 at 7.5 features per second: eight windows of about 4 s from each long video."""
    return Recipe({"step": 4, "hidden": 512, "windows_per_video": 8, "epochs": 150})


def gtea() -> Recipe:
    """Return settings for GTEA at 15 features per second: twelve windows of about 4 s from each of 21 videos."""
    return Recipe({"step": 8, "hidden": 256, "windows_per_video": 12, "epochs": 500})


def auto() -> Recipe:
    """Return settings for any features: a multi-scale module whose largest step is chosen from the video lengths."""
    return MultiScaleRecipe({"largest_step": None})


RECIPES: Mapping[str, Callable[[], Recipe]] = {recipe.__name__: recipe for recipe in (anet, hacs, thumos, gtea, auto)}
"""Functions that return the recipe of each name.

Examples:
    >>> import sola
    >>> list(sola.RECIPES)
    ['anet', 'hacs', 'thumos', 'gtea', 'auto']
"""


def recipe_named(name: str) -> Recipe:
    """Return the recipe with this name.

    Raises:
        SolaError: if the name is unknown.
    """
    if name not in RECIPES:
        raise SolaError(f"recipe {name!r}: no such recipe; expected one of {', '.join(RECIPES)}")
    return RECIPES[name]()
