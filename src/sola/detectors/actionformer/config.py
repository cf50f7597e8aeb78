"""Settings of ActionFormer."""

from dataclasses import dataclass
from typing import Literal

from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.point_pyramid.config import PointPyramidConfig


@dataclass(frozen=True)
class ActionFormerConfig(PointPyramidConfig):
    """Settings for training and detection with ActionFormer; the defaults are for THUMOS14."""

    model: Literal["actionformer"] = "actionformer"
    """Name of the detector."""
    attention_window: int = 19
    """Size of the attention window at each level (positions of that level, odd)."""
    global_last: bool = False
    """Whether to use global attention at the coarsest level."""

    def build(self, channels: int, classes: int) -> ActionFormer:
        """Return an untrained network."""
        coarsest = None if self.global_last else self.attention_window
        return ActionFormer(
            channels,
            classes if self.multi_class else None,
            length=self.longest,
            width=self.width,
            windows=[*[self.attention_window] * (self.levels - 1), coarsest],
            absolute_position=self.absolute_position,
            ranges=self.ranges,
            candidates=self.candidates,
            min_duration=self.min_duration,
            regression_weight=self.regression_weight,
            label_smoothing=self.label_smoothing,
            normalizer=self.normalizer,
        )
