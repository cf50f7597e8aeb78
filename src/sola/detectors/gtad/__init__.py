"""G-TAD: Sub-Graph Localization for Temporal Action Detection (Xu et al., CVPR 2020)."""

from sola.detectors.base import DetectorFamily
from sola.detectors.gtad.config import GTADConfig
from sola.detectors.gtad.recipes import RECIPES

FAMILY = DetectorFamily("gtad", GTADConfig, RECIPES)
