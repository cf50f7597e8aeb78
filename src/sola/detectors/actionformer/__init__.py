"""ActionFormer: a pyramid of transformer blocks with local attention; each of its points says what it is in."""

from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.actionformer.recipes import RECIPES
from sola.detectors.base import DetectorFamily

FAMILY = DetectorFamily("actionformer", ActionFormerConfig, RECIPES)
