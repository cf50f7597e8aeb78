"""Recipes of TemporalMaxer."""

from collections.abc import Mapping
from dataclasses import replace

from sola.detectors.point_pyramid import recipes as shared
from sola.detectors.temporalmaxer.config import TemporalMaxerConfig

THUMOS = TemporalMaxerConfig(**shared.THUMOS, epochs=65)
ANET = replace(THUMOS, **shared.ANET)
EPIC_VERB = replace(THUMOS, **shared.EPIC, crop_overhang=1.0, level_normalization="layer", epochs=37)
GTEA = replace(THUMOS, **shared.GTEA, crop_overhang=0.5, level_normalization="layer")

RECIPES: Mapping[str, TemporalMaxerConfig] = {
    # not published; settings of ActionFormer
    "anet": ANET,
    "hacs": ANET,
    # published (Tang et al., 2023) for I3D features with a stride of four frames
    "thumos": THUMOS,
    # published for I3D features of RGB frames only
    "multithumos": replace(THUMOS, convolutions=3, level_normalization="layer", candidates=3000, max_detections=300),
    # published for SlowFast features with a stride of 16 frames
    "epic-verb": EPIC_VERB,
    "epic-noun": replace(EPIC_VERB, level_normalization="clip"),
    # not published
    "gtea": GTEA,
    "quick": replace(GTEA, **shared.QUICK),
}
