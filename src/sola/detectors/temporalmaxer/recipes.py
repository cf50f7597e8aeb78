"""Named settings of TemporalMaxer, published and ours."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.point_pyramid import recipes as shared
from sola.detectors.temporalmaxer.config import TemporalMaxerConfig

THUMOS = TemporalMaxerConfig(**shared.THUMOS, epochs=65)
ANET = replace(THUMOS, **shared.ANET)
EPIC_VERB = replace(THUMOS, **shared.EPIC, crop_overhang=1.0, level_normalization="layer", epochs=37)
GTEA = replace(THUMOS, **shared.GTEA, crop_overhang=0.5, level_normalization="layer")

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
    # ours
    "gtea": GTEA,
    "quick": replace(GTEA, **shared.QUICK),
}
