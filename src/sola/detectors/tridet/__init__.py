"""TriDet (Shi et al., CVPR 2023): a convolutional pyramid, and boundaries as distributions over bins."""

from sola.detectors.base import DetectorFamily
from sola.detectors.tridet.config import TriDetConfig
from sola.detectors.tridet.recipes import RECIPES

FAMILY = DetectorFamily("tridet", TriDetConfig, RECIPES)
