"""ActionFormer (Zhang et al., ECCV 2022): a pyramid of transformer blocks with local attention."""

from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.actionformer.recipes import RECIPES
from sola.detectors.base import DetectorFamily

FAMILY = DetectorFamily("actionformer", ActionFormerConfig, RECIPES)
