"""Named settings of ActionFormer, published and ours."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.point_pyramid import recipes as shared

THUMOS = ActionFormerConfig(**shared.THUMOS, epochs=35)
ANET = replace(THUMOS, **shared.ANET, attention_window=7, global_last=True, absolute_position=True)
EPIC_VERB = replace(THUMOS, **shared.EPIC, crop_overhang=1.0, attention_window=9, epochs=21)
GTEA = replace(THUMOS, **shared.GTEA, crop_overhang=0.5, attention_window=9)

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
    # ours
    "gtea": GTEA,
    "quick": replace(GTEA, **shared.QUICK),
}
