"""Named settings of G-TAD: which are published, and which are ours."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from sola.detectors.gtad.config import GTADConfig


def anet() -> GTADConfig:
    """G-TAD on ActivityNet-1.3, as published (Xu et al., CVPR 2020; the authors' `anet` branch)."""
    return GTADConfig(
        candidates_only=True,
        epochs=10,
        learning_rate=4e-3,
        decay_every=5,
        suppression="gaussian",
        sigma=0.8,
    )


def hacs() -> GTADConfig:
    """G-TAD on HACS, as published: batches of 32 at 5e-4. One class per proposal, as the authors name them."""
    return replace(anet(), learning_rate=5e-4, batch_size=32, classes_per_proposal=1, class_score="share")


def thumos() -> GTADConfig:
    """G-TAD on THUMOS14: its windows (256 snippets, proposals up to 64); the rest is ActivityNet's, at 4e-4."""
    return replace(
        anet(),
        candidates_only=False,
        length=256,
        window_size=256,
        window_stride=128,
        max_duration=64,
        bins=16,
        context_bins=16,
        kernel_size=3,
        batch_size=8,
        learning_rate=4e-4,
        max_detections=200,
    )


def gtea() -> GTADConfig:
    """G-TAD on GTEA. Nothing is published: BMN's windows, at a learning rate that suits so few clips."""
    return replace(
        anet(),
        length=96,
        window_size=384,
        window_stride=192,
        max_duration=40,
        epochs=8,
        learning_rate=1e-3,
        decay_every=5,
    )


def quick() -> GTADConfig:
    """G-TAD on whole videos, small and hardly trained: to see that it runs."""
    return replace(
        anet(),
        length=40,
        bins=16,
        epochs=3,
        learning_rate=1e-3,
        decay_every=3,
        batch_size=8,
        classifier_epochs=20,
    )


RECIPES: Mapping[str, Callable[[], GTADConfig]] = {
    "anet": anet,
    "hacs": hacs,
    "thumos": thumos,
    "gtea": gtea,
    "quick": quick,
}
