"""A minimal detector. A new detector needs one package like this and one line in `sola.detectors.DETECTORS`."""

from sola.detectors.base import DetectorFamily
from support.toy_detector.config import ToyConfig

FAMILY = DetectorFamily("toy", ToyConfig, {"anet": ToyConfig()})
