"""Settings of TemporalMaxer."""

from dataclasses import dataclass
from typing import Literal

from sola.core.checks import at_least, one_of
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.temporalmaxer.network import Normalization, TemporalMaxer


@dataclass(frozen=True)
class TemporalMaxerConfig(PointPyramidConfig):
    """Settings that determine one training of TemporalMaxer, and detection with it; the defaults are THUMOS14's."""

    model: Literal["temporalmaxer"] = "temporalmaxer"
    """Name of the detector."""
    convolutions: int = 2
    """Number of convolutions before the pyramid."""
    level_normalization: Normalization = "clip"
    """Normalization of a level: layer, over the channels of a snippet; clip, over the time of a clip, padding included,
    and a quarter of the channels."""

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
