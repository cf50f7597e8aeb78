"""BMN: Boundary-Matching Network (Lin et al., ICCV 2019)."""

from sola.detectors.base import DetectorFamily
from sola.detectors.bmn.config import BMNConfig
from sola.detectors.bmn.recipes import RECIPES

FAMILY = DetectorFamily("bmn", BMNConfig, RECIPES)
