"""A toy detector: all that a new detector provides, one folder and one line in `sola.detectors.DETECTORS`."""

from sola.detectors.base import DetectorFamily
from support.toy_detector.config import ToyConfig

FAMILY = DetectorFamily("toy", ToyConfig, {"anet": ToyConfig()})
