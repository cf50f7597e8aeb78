"""Named settings, and the recipe that chooses its own."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sola.data.features import FeatureSet
from sola.softlanding.auto import suggest
from sola.softlanding.config import TrainingConfig

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
    """Features of your own: what depends on them is chosen from them, without labels.

    What does not was chosen on the validation videos of the rendered benchmark (docs/benchmark.md). Dropout is what
    makes the difference: without it no setting beat centered and averaged features there. The projector is left out,
    for with dropout the loss is lowered in it instead of in the module; the learning rate is what opens the gate in so
    few batches.
    """
    return TrainingConfig(
        step="auto",
        k="auto",
        conditioning="center+scale",
        smoothing="auto",
        windows_per_video="auto",
        epochs="auto",
        hidden=512,
        dropout=0.8,
        projector="symmetric",
        batch_size=128,
        learning_rate=5e-3,
    )


RECIPES: Mapping[Recipe, Callable[[], TrainingConfig]] = {
    "anet": anet,
    "hacs": hacs,
    "thumos": thumos,
    "gtea": gtea,
    "auto": auto,
}


SUGGESTED = {"step", "k", "conditioning", "smoothing"}
"""Settings that `suggest` chooses."""
LENGTH = {"windows_per_video", "epochs"}
"""Settings that follow from the number of videos and the window."""
BATCHES = 800
"""Batches that "auto" trains for."""
BATCHES_AN_EPOCH = 8
"""At least: the last batch of an epoch holds what is left, and should be few among many."""


def settle(config: TrainingConfig, features: FeatureSet) -> tuple[TrainingConfig, dict[str, str]]:
    """Replace every "auto" in `config` by what the features suggest; also the reason for each, one sentence."""
    is_open = [field.name for field in dataclasses.fields(config) if getattr(config, field.name) == "auto"]
    chosen: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    if SUGGESTED.intersection(is_open):
        suggestion = suggest(features, seed=config.seed, positions=config.positions, margin=config.margin)
        chosen = {
            "step": suggestion.step,
            "k": suggestion.k,
            "conditioning": "center+scale" if suggestion.center else "scale",
            "smoothing": suggestion.smoothing,
        }
        reasons = {**suggestion.reasons}
    settled = dataclasses.replace(config, **{name: chosen[name] for name in chosen if name in is_open})
    if LENGTH.intersection(is_open):
        settled = _length(settled, features, reasons)
    return settled, {name: reasons[name] for name in is_open if name in reasons}


def _length(config: TrainingConfig, features: FeatureSet, reasons: dict[str, str]) -> TrainingConfig:
    """Settle how much is drawn from a video, and how often; adds the reasons."""
    lengths = [header.shape[0] for header in features.headers().values()]
    videos = max(sum(length >= config.window for length in lengths), 1)
    if config.windows_per_video == "auto":
        each = math.ceil(BATCHES_AN_EPOCH * config.batch_size / videos)
        config = dataclasses.replace(config, windows_per_video=each)
        eight = f"{BATCHES_AN_EPOCH} batches of {config.batch_size} make an epoch"
        reasons["windows_per_video"] = f"{videos} videos are as long as a window, and {eight}"
    if config.epochs == "auto":
        assert config.windows_per_video != "auto"
        batches = math.ceil(videos * config.windows_per_video / config.batch_size)
        config = dataclasses.replace(config, epochs=max(round(BATCHES / batches), 1))
        reasons["epochs"] = f"an epoch has {batches} batches with the last, and about {BATCHES} are enough"
    return config
