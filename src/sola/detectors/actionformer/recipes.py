"""Named settings of ActionFormer: which are published, and which are ours."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from sola.detectors.actionformer.config import ActionFormerConfig


def thumos() -> ActionFormerConfig:
    """ActionFormer on THUMOS14, as published (Zhang et al., ECCV 2022), for I3D features every four frames."""
    return ActionFormerConfig(
        epochs=35,
        warmup_epochs=5,
        batch_size=2,
        learning_rate=1e-4,
        weight_decay=0.05,
        sigma=0.5,
        min_score=0.001,
        max_detections=200,
        voting_iou=0.7,
    )


def anet() -> ActionFormerConfig:
    """ActionFormer on ActivityNet-1.3, as published for TSP features; a video classifier names its proposals.

    For I3D features the paper uses 160 units: `resize_length=160`.
    """
    return ActionFormerConfig(
        resize_length=192,
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
        max_detections=100,
        voting_iou=0.9,
    )


def hacs() -> ActionFormerConfig:
    """ActionFormer on HACS. The authors publish none; OpenTAD's is ActivityNet's, and so is this."""
    return anet()


def gtea() -> ActionFormerConfig:
    """ActionFormer on GTEA. Nothing is published: ours, a smaller network for 21 videos.

    A unit is four snippets (0.27 s), so that a video has 145 to 480; a quarter of THUMOS14's width.
    """
    return replace(
        thumos(),
        snippets_per_unit=4,
        length=512,
        width=128,
        attention_window=9,
        epochs=30,
        warmup_epochs=3,
        learning_rate=1e-3,
        ema_decay=0.99,
    )


def quick() -> ActionFormerConfig:
    """ActionFormer, small and hardly trained: to see that it runs."""
    return replace(gtea(), snippets_per_unit=2, length=192, width=32, levels=4, epochs=4, warmup_epochs=1, batch_size=4)


RECIPES: Mapping[str, Callable[[], ActionFormerConfig]] = {
    "anet": anet,
    "hacs": hacs,
    "thumos": thumos,
    "gtea": gtea,
    "quick": quick,
}
