"""BMN: Boundary-Matching Network (Lin et al., ICCV 2019)."""

from sola.detectors.bmn.config import BMNConfig
from sola.detectors.bmn.recipes import RECIPES
from sola.detectors.base import DetectorFamily

FAMILY = DetectorFamily("bmn", BMNConfig, RECIPES)
