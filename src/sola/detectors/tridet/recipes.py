"""Recipes of TriDet."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.point_pyramid import recipes as shared
from sola.detectors.tridet.config import TriDetConfig

THUMOS = TriDetConfig(
    epochs=40,
    warmup_epochs=20,
    batch_size=2,
    learning_rate=1e-4,
    weight_decay=0.025,
    max_detections=2000,
    min_score=0.001,
    voting_iou=0.7,
    voting_weight="score",
)
ANET = replace(
    THUMOS,
    multi_class=False,
    length=768,
    width=256,
    perception_window=15,
    window_scale=1.3,
    hidden=2048,
    deviation=0.2,
    head_width=512,
    bins=12,
    absolute_position=True,
    input_noise=0.5,
    min_duration=0.1,
    overlap_power=1.0,
    label_smoothing=0.1,
    normalizer=400.0,
    epochs=15,
    warmup_epochs=10,
    batch_size=16,
    learning_rate=1e-3,
    final_rate=0.05,
    weight_decay=0.04,
    clip_norm=0.4,
    sigma=0.7,
    max_detections=200,
    voting_iou=0.95,
)
HACS = replace(
    THUMOS,
    length=960,
    width=1024,
    perception_window=3,
    window_scale=1.2,
    hidden=1024,
    deviation=0.1,
    head_kernel_size=5,
    boundary_kernel_size=1,
    bins=14,
    absolute_position=True,
    input_noise=0.2,
    overlap_power=1.0,
    label_smoothing=0.1,
    normalizer=400.0,
    epochs=11,
    warmup_epochs=7,
    batch_size=16,
    learning_rate=1e-3,
    final_rate=0.5,
    weight_decay=0.03,
    clip_norm=0.5,
    sigma=0.75,
    max_detections=250,
    voting_iou=0.95,
)
EPIC_VERB = replace(
    THUMOS,
    **shared.EPIC,
    perception_window=5,
    window_scale=2.0,
    hidden=1024,
    overlap_power=0.25,
    input_noise=0.0,
    epochs=27,
    final_rate=0.5,
)
GTEA = replace(THUMOS, **shared.GTEA, hidden=256, deviation=0.1)

RECIPES: Mapping[str, TriDetConfig] = {
    # published (Shi et al., CVPR 2023) for TSP features that are not rescaled; a video classifier assigns classes
    "anet": ANET,
    # published for SlowFast features
    "hacs": HACS,
    # published for I3D features with a stride of four frames; weights of the perception start at 0, without gradient
    "thumos": THUMOS,
    # published for SlowFast features with a stride of 16 frames
    "epic-verb": EPIC_VERB,
    "epic-noun": replace(
        EPIC_VERB, perception_window=1, window_scale=4.0, label_smoothing=0.1, epochs=19, final_rate=0.0
    ),
    # not published; the weights of the perception have a gradient
    "gtea": GTEA,
    "quick": replace(GTEA, **shared.QUICK, hidden=64),
}
