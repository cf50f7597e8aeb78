"""Named settings of localisers: which figures are published, and which are ours."""

from collections.abc import Callable, Mapping
from typing import Literal

from sola.localizer_config import HeadName, LocalizerConfig

LocalizerRecipe = Literal["anet", "hacs", "thumos", "gtea"]


def bmn_anet() -> LocalizerConfig:
    """BMN on ActivityNet-1.3, as published (Lin et al., ICCV 2019; the authors' program): 100 units a video."""
    return LocalizerConfig()


def bmn_hacs() -> LocalizerConfig:
    """BMN on HACS. Nothing is published: those of ActivityNet, which has videos of the same length."""
    return LocalizerConfig()


def bmn_thumos() -> LocalizerConfig:
    """BMN on THUMOS14. The windows are G-TAD's (256 snippets, proposals up to 64); the rest is ActivityNet's."""
    return LocalizerConfig(length=256, span=256, hop=128, max_duration=64, keep=200)


def bmn_gtea() -> LocalizerConfig:
    """BMN on GTEA, 15 snippets a second. Nothing is published: ours.

    A window is 25.6 s, a unit four snippets (0.27 s); proposals last up to 10.7 s, as 97 % of the actions do. Eight
    epochs, the last three at a tenth of the rate, so that a training takes a minute or two on two cores.
    """
    return LocalizerConfig(length=96, span=384, hop=192, max_duration=40, epochs=8, decay_every=5, keep=100)


def gtad_anet() -> LocalizerConfig:
    """G-TAD on ActivityNet-1.3, as published (Xu et al., CVPR 2020; the authors' `anet` branch)."""
    return LocalizerConfig(
        head="gtad",
        candidates_only=True,
        epochs=10,
        learning_rate=4e-3,
        decay_every=5,
        suppression="gaussian",
        sigma=0.8,
    )


def gtad_hacs() -> LocalizerConfig:
    """G-TAD on HACS, as published: batches of 32 at 5e-4. One class a proposal, as the authors name them."""
    return LocalizerConfig(
        head="gtad",
        candidates_only=True,
        epochs=10,
        learning_rate=5e-4,
        batch_size=32,
        decay_every=5,
        suppression="gaussian",
        sigma=0.8,
        top=1,
        class_score="share",
    )


def gtad_thumos() -> LocalizerConfig:
    """G-TAD on THUMOS14: its windows (256 snippets, proposals up to 64); the rest is ActivityNet's, at 4e-4."""
    return LocalizerConfig(
        head="gtad",
        length=256,
        span=256,
        hop=128,
        max_duration=64,
        bins=16,
        context_bins=16,
        kernel_size=3,
        epochs=10,
        batch_size=8,
        learning_rate=4e-4,
        decay_every=5,
        suppression="gaussian",
        sigma=0.8,
        keep=200,
    )


def gtad_gtea() -> LocalizerConfig:
    """G-TAD on GTEA. Nothing is published: the windows of `bmn_gtea`, at a rate at which so few clips train well."""
    return LocalizerConfig(
        head="gtad",
        candidates_only=True,
        length=96,
        span=384,
        hop=192,
        max_duration=40,
        epochs=8,
        learning_rate=1e-3,
        decay_every=5,
        suppression="gaussian",
        sigma=0.8,
    )


LOCALIZER_RECIPES: Mapping[tuple[HeadName, LocalizerRecipe], Callable[[], LocalizerConfig]] = {
    ("bmn", "anet"): bmn_anet,
    ("bmn", "hacs"): bmn_hacs,
    ("bmn", "thumos"): bmn_thumos,
    ("bmn", "gtea"): bmn_gtea,
    ("gtad", "anet"): gtad_anet,
    ("gtad", "hacs"): gtad_hacs,
    ("gtad", "thumos"): gtad_thumos,
    ("gtad", "gtea"): gtad_gtea,
}
