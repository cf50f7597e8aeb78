"""Named settings of detectors: which figures are published, and which are ours."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.proposal_map.config import ProposalMapConfig

DetectorName = Literal["bmn", "gtad", "actionformer"]
DetectorRecipe = Literal["anet", "hacs", "thumos", "gtea"]


def bmn_anet() -> ProposalMapConfig:
    """BMN on ActivityNet-1.3, as published (Lin et al., ICCV 2019; the authors' program): 100 units a video."""
    return ProposalMapConfig()


def bmn_hacs() -> ProposalMapConfig:
    """BMN on HACS. Nothing is published: those of ActivityNet, which has videos of the same length."""
    return bmn_anet()


def bmn_thumos() -> ProposalMapConfig:
    """BMN on THUMOS14. The windows are G-TAD's (256 snippets, proposals up to 64); the rest is ActivityNet's."""
    return ProposalMapConfig(length=256, span=256, hop=128, max_duration=64, keep=200)


def bmn_gtea() -> ProposalMapConfig:
    """BMN on GTEA, 15 snippets a second. Nothing is published: ours.

    A window is 25.6 s, a unit four snippets (0.27 s); proposals last up to 10.7 s, as 97 % of the actions do. Eight
    epochs, the last three at a tenth of the rate, so that a training takes a minute or two on two cores.
    """
    return ProposalMapConfig(length=96, span=384, hop=192, max_duration=40, epochs=8, decay_every=5, keep=100)


def gtad_anet() -> ProposalMapConfig:
    """G-TAD on ActivityNet-1.3, as published (Xu et al., CVPR 2020; the authors' `anet` branch)."""
    return ProposalMapConfig(
        head="gtad",
        candidates_only=True,
        epochs=10,
        learning_rate=4e-3,
        decay_every=5,
        suppression="gaussian",
        sigma=0.8,
    )


def gtad_hacs() -> ProposalMapConfig:
    """G-TAD on HACS, as published: batches of 32 at 5e-4. One class a proposal, as the authors name them."""
    return replace(gtad_anet(), learning_rate=5e-4, batch_size=32, top=1, class_score="share")


def gtad_thumos() -> ProposalMapConfig:
    """G-TAD on THUMOS14: its windows (256 snippets, proposals up to 64); the rest is ActivityNet's, at 4e-4."""
    return replace(
        gtad_anet(),
        candidates_only=False,
        length=256,
        span=256,
        hop=128,
        max_duration=64,
        bins=16,
        context_bins=16,
        kernel_size=3,
        batch_size=8,
        learning_rate=4e-4,
        keep=200,
    )


def gtad_gtea() -> ProposalMapConfig:
    """G-TAD on GTEA. Nothing is published: the windows of `bmn_gtea`, at a rate at which so few clips train well."""
    return replace(
        gtad_anet(), length=96, span=384, hop=192, max_duration=40, epochs=8, learning_rate=1e-3, decay_every=5
    )


def actionformer_thumos() -> ActionFormerConfig:
    """ActionFormer on THUMOS14, as published (Zhang et al., ECCV 2022), for I3D features every four frames."""
    return ActionFormerConfig(
        epochs=35,
        warmup_epochs=5,
        batch_size=2,
        learning_rate=1e-4,
        weight_decay=0.05,
        sigma=0.5,
        min_score=0.001,
        keep=200,
        voting=0.7,
    )


def actionformer_anet() -> ActionFormerConfig:
    """ActionFormer on ActivityNet-1.3, as published for TSP features; a video classifier names its proposals.

    For I3D features the paper takes 160 units: `--rescaled 160`.
    """
    return ActionFormerConfig(
        rescaled=192,
        multi_class=False,
        width=256,
        attention_window=7,
        global_last=True,
        absolute_position=True,
        min_duration=0.001,
        regression_weight=2.0,
        label_smoothing=0.1,
        normalizer=200.0,
        epochs=15,
        warmup_epochs=5,
        batch_size=16,
        learning_rate=1e-3,
        weight_decay=0.05,
        sigma=0.75,
        min_score=0.001,
        keep=100,
        voting=0.9,
    )


def actionformer_hacs() -> ActionFormerConfig:
    """ActionFormer on HACS. The authors publish none; OpenTAD's is ActivityNet's, and so is this."""
    return actionformer_anet()


def actionformer_gtea() -> ActionFormerConfig:
    """ActionFormer on GTEA. Nothing is published: ours, a smaller model for 21 videos.

    A unit is four snippets (0.27 s), so that a video has 145 to 480; a quarter of THUMOS14's width.
    """
    return replace(
        actionformer_thumos(),
        pace=4,
        length=512,
        width=128,
        attention_window=9,
        epochs=30,
        warmup_epochs=3,
        learning_rate=1e-3,
        average=0.99,
    )


DETECTOR_RECIPES: Mapping[
    tuple[DetectorName, DetectorRecipe], Callable[[], ProposalMapConfig] | Callable[[], ActionFormerConfig]
] = {
    ("bmn", "anet"): bmn_anet,
    ("bmn", "hacs"): bmn_hacs,
    ("bmn", "thumos"): bmn_thumos,
    ("bmn", "gtea"): bmn_gtea,
    ("gtad", "anet"): gtad_anet,
    ("gtad", "hacs"): gtad_hacs,
    ("gtad", "thumos"): gtad_thumos,
    ("gtad", "gtea"): gtad_gtea,
    ("actionformer", "anet"): actionformer_anet,
    ("actionformer", "hacs"): actionformer_hacs,
    ("actionformer", "thumos"): actionformer_thumos,
    ("actionformer", "gtea"): actionformer_gtea,
}
