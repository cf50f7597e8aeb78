"""From a head's candidates to detections: suppression, voting and class labels, as pure functions over segments."""

from sola.postprocess.classifier import (
    VideoScores,
    fuse,
    read_classifier,
    read_scores,
    share_of_top_two,
    snippet_class_scores,
    thumos14_layout,
)
from sola.postprocess.suppression import Decay, Gaussian, Hard, Linear, WidthAdaptive, suppress
from sola.postprocess.voting import vote

__all__ = [
    "Decay",
    "Gaussian",
    "Hard",
    "Linear",
    "VideoScores",
    "WidthAdaptive",
    "fuse",
    "read_classifier",
    "read_scores",
    "share_of_top_two",
    "snippet_class_scores",
    "suppress",
    "thumos14_layout",
    "vote",
]
