"""Recipes of ActionFormer."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.point_pyramid import recipes as shared

THUMOS = ActionFormerConfig(**shared.THUMOS, epochs=35)
ANET = replace(THUMOS, **shared.ANET, attention_window=7, global_last=True, absolute_position=True)
EPIC_VERB = replace(THUMOS, **shared.EPIC, crop_overhang=1.0, attention_window=9, epochs=21)
GTEA = replace(THUMOS, **shared.GTEA, crop_overhang=0.5, attention_window=9)

RECIPES: Mapping[str, ActionFormerConfig] = {
    # published for TSP features (for I3D: 160 units); a video classifier assigns classes to proposals
    "anet": ANET,
    # not published by the authors; like OpenTAD, use the settings for ActivityNet
    "hacs": ANET,
    # published (Zhang et al., ECCV 2022) for I3D features with a stride of four frames
    "thumos": THUMOS,
    # published for SlowFast features with a stride of 16 frames
    "epic-verb": EPIC_VERB,
    "epic-noun": replace(EPIC_VERB, label_smoothing=0.1),
    # not published
    "gtea": GTEA,
    "quick": replace(GTEA, **shared.QUICK),
}
