"""Named settings, and the recipe that chooses its own."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

from sola.data.features import FeatureSet
from sola.training_config import TrainingConfig

Recipe = Literal["anet", "hacs", "thumos", "gtea", "auto"]


def anet() -> TrainingConfig:
    """ActivityNet-1.3, as published: Table 4a of the supplement."""
    return TrainingConfig()


def hacs() -> TrainingConfig:
    """HACS Segments: the figures of the published code's config."""
    return TrainingConfig(step=2, hidden=512, epochs=150)


def thumos() -> TrainingConfig:
    """THUMOS14. Nothing is published: ours, for features four frames apart (7.5 a second).

    A window spans 28 snippets between its first and last position, about 4 s, a little more than the median action.
    Few and long videos: eight windows from each in an epoch.
    """
    return TrainingConfig(step=4, hidden=512, windows_per_video=8, epochs=150)


def gtea() -> TrainingConfig:
    """GTEA, 15 features a second. Nothing is published: ours.

    A window spans 56 snippets between its first and last position, about 4 s, one to two actions; 21 training videos,
    so a dozen windows from each make one batch an epoch.
    """
    return TrainingConfig(step=8, hidden=256, windows_per_video=12, epochs=500)


def auto() -> TrainingConfig:
    """Features of your own: step, K, conditioning and smoothing are chosen from the features, without labels."""
    return TrainingConfig(step="auto", k="auto", conditioning="auto", smoothing="auto", hidden=512, epochs=300)


RECIPES: Mapping[Recipe, Callable[[], TrainingConfig]] = {
    "anet": anet,
    "hacs": hacs,
    "thumos": thumos,
    "gtea": gtea,
    "auto": auto,
}


def settle(config: TrainingConfig, features: FeatureSet) -> tuple[TrainingConfig, dict[str, str]]:
    """Replace every "auto" in `config` by what the features suggest; also the reason for each, one sentence."""
    open_names = [name for name in ("step", "k", "conditioning", "smoothing") if getattr(config, name) == "auto"]
    if not open_names:
        return config, {}
    from sola.suggestion import suggest

    suggestion = suggest(features, seed=config.seed)
    chosen = {
        "step": suggestion.step,
        "k": suggestion.k,
        "conditioning": "centre+scale" if suggestion.centre else "scale",
        "smoothing": suggestion.smoothing,
    }
    settled = dataclasses.replace(config, **{name: chosen[name] for name in open_names})
    return settled, {name: suggestion.reasons[name] for name in open_names}
