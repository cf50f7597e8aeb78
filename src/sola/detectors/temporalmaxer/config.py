"""Settings of TemporalMaxer."""

from dataclasses import dataclass
from typing import Literal

from sola.core.checks import at_least, one_of
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.temporalmaxer.network import Normalization, TemporalMaxer


@dataclass(frozen=True)
class TemporalMaxerConfig(PointPyramidConfig):
    """Settings for training and detection with TemporalMaxer; the defaults are for THUMOS14."""

    model: Literal["temporalmaxer"] = "temporalmaxer"
    """Name of the detector."""
    convolutions: int = 2
    """Number of convolutions before the pyramid."""
    level_normalization: Normalization = "clip"
    """Normalization of a level: layer normalizes the channels of each snippet; clip normalizes each quarter of the
    channels over the whole clip, including padding."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, convolutions=self.convolutions)
        one_of(Normalization, level_normalization=self.level_normalization)

    def build(self, channels: int, classes: int) -> TemporalMaxer:
        """Return an untrained network."""
        return TemporalMaxer(
            channels,
            classes if self.multi_class else None,
            length=self.longest,
            width=self.width,
            levels=self.levels,
            convolutions=self.convolutions,
            normalization=self.level_normalization,
            absolute_position=self.absolute_position,
            ranges=self.ranges,
            candidates=self.candidates,
            min_duration=self.min_duration,
            regression_weight=self.regression_weight,
            label_smoothing=self.label_smoothing,
            normalizer=self.normalizer,
        )
