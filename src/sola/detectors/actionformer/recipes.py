"""Named settings of ActionFormer, published and ours."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.actionformer.config import ActionFormerConfig

THUMOS = ActionFormerConfig(
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
ANET = replace(
    THUMOS,
    resize_length=192,
    crop_overhang=0.5,
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
    attention_window=9,
    epochs=30,
    warmup_epochs=10,
    learning_rate=1e-3,
    ema_decay=0.99,
)
EPIC_VERB = replace(
    THUMOS,
    attention_window=9,
    overlapping_ranges=True,
    candidates=5000,
    inside=0.3,
    crop_overhang=1.0,
    normalizer=250.0,
    epochs=21,
    sigma=0.4,
    max_detections=2000,
    voting_iou=0.75,
)

RECIPES: Mapping[str, ActionFormerConfig] = {
    # as published for TSP features (160 units for I3D); a video classifier names the proposals
    "anet": ANET,
    # the authors publish none; OpenTAD's is ActivityNet's, and so is this
    "hacs": ANET,
    # as published (Zhang et al., ECCV 2022) for I3D features every four frames
    "thumos": THUMOS,
    # as published for SlowFast features every 16 frames
    "epic-verb": EPIC_VERB,
    "epic-noun": replace(EPIC_VERB, label_smoothing=0.1),
    # ours, a smaller network for 21 videos: a unit is four snippets (0.27 s), a video has 145 to 480
    "gtea": GTEA,
    # small and hardly trained: to see that it runs
    "quick": replace(
        GTEA, snippets_per_unit=2, length=192, width=32, levels=4, epochs=4, warmup_epochs=1, batch_size=4
    ),
}
