"""TemporalMaxer (Tang et al., 2023): a pyramid of max pooling, with the output layers of ActionFormer."""

from sola.detectors.base import DetectorFamily
from sola.detectors.temporalmaxer.config import TemporalMaxerConfig
from sola.detectors.temporalmaxer.recipes import RECIPES

FAMILY = DetectorFamily("temporalmaxer", TemporalMaxerConfig, RECIPES)
