"""From candidates to detections: suppression, voting and class labels, as pure functions of segments."""

from sola.detectors.postprocess.classes import fuse, share_of_top_two, snippet_class_scores
from sola.detectors.postprocess.soft_nms import Decay, Gaussian, Hard, Linear, WidthAdaptive, suppress
from sola.detectors.postprocess.voting import vote

__all__ = [
    "Decay",
    "Gaussian",
    "Hard",
    "Linear",
    "WidthAdaptive",
    "fuse",
    "share_of_top_two",
    "snippet_class_scores",
    "suppress",
    "vote",
]
