"""Named settings of TemporalMaxer, published and ours."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.temporalmaxer.config import TemporalMaxerConfig

THUMOS = TemporalMaxerConfig(
    epochs=65,
    warmup_epochs=5,
    batch_size=2,
    learning_rate=1e-4,
    weight_decay=0.05,
    max_detections=200,
    min_score=0.001,
    voting_iou=0.7,
)
EPIC_VERB = replace(
    THUMOS,
    level_normalization="layer",
    overlapping_ranges=True,
    candidates=5000,
    inside=0.3,
    crop_overhang=1.0,
    normalizer=250.0,
    epochs=37,
    sigma=0.4,
    max_detections=2000,
    voting_iou=0.75,
)
ANET = replace(
    THUMOS,
    resize_length=192,
    crop_overhang=0.5,
    multi_class=False,
    width=256,
    min_duration=0.001,
    regression_weight=2.0,
    label_smoothing=0.1,
    normalizer=200.0,
    epochs=15,
    batch_size=16,
    learning_rate=1e-3,
    sigma=0.75,
    max_detections=100,
    voting_iou=0.9,
)
GTEA = replace(
    THUMOS,
    snippets_per_unit=4,
    length=512,
    crop_overhang=0.5,
    width=128,
    level_normalization="layer",
    epochs=30,
    warmup_epochs=10,
    learning_rate=1e-3,
    ema_decay=0.99,
)

RECIPES: Mapping[str, TemporalMaxerConfig] = {
    # the authors publish none; the settings of ActionFormer's
    "anet": ANET,
    "hacs": ANET,
    # as published (Tang et al., 2023) for I3D features every four frames
    "thumos": THUMOS,
    # as published for I3D features, of RGB alone
    "multithumos": replace(THUMOS, convolutions=3, level_normalization="layer", candidates=3000, max_detections=300),
    # as published for SlowFast features every 16 frames
    "epic-verb": EPIC_VERB,
    "epic-noun": replace(EPIC_VERB, level_normalization="clip"),
    # ours, a smaller network for 21 videos, with the units and schedule of ActionFormer's
    "gtea": GTEA,
    # small and hardly trained: to see that it runs
    "quick": replace(
        GTEA, snippets_per_unit=2, length=192, width=32, levels=4, epochs=4, warmup_epochs=1, batch_size=4
    ),
}
