"""Settings of TriDet."""

from dataclasses import dataclass
from typing import Literal

from sola.core.checks import at_least, not_negative, odd, positive
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.tridet.network import TriDet


@dataclass(frozen=True)
class TriDetConfig(PointPyramidConfig):
    """Settings for training and detection with TriDet; the defaults are for THUMOS14."""

    model: Literal["tridet"] = "tridet"
    """Name of the detector."""
    crop_overhang: float = 0.0
    """Distance beyond a crop at which its instances are cut (units), measured from the center of its first unit and of
    the unit after its last one; ActionFormer uses half the window of a snippet."""
    perception_window: int = 1
    """Kernel size of the perception at each level (positions of that level, odd)."""
    window_scale: float = 5.0
    """Scale k of the wide window, whose size is k * (perception window + 1)."""
    hidden: int = 768
    """Number of hidden channels of the perceptron of each block."""
    deviation: float = 0.0
    """Standard deviation of the initial weights of the perception."""
    head_width: int | None = None
    """Number of channels of the output layers, or None for the width of the network."""
    head_kernel_size: int = 3
    """Kernel size of the layers for classes and offsets (odd)."""
    boundary_kernel_size: int = 3
    """Kernel size of the layers for starts and ends (odd)."""
    bins: int = 16
    """Largest distance B from a point to a boundary (strides of its level)."""
    overlap_power: float = 0.2
    """Power of the tIoU that weights the focal loss of positive classes."""
    input_noise: float = 0.0005
    """Standard deviation of the noise added to the features in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, hidden=self.hidden, head_width=self.head_width, bins=self.bins)
        odd(
            perception_window=self.perception_window,
            head_kernel_size=self.head_kernel_size,
            boundary_kernel_size=self.boundary_kernel_size,
        )
        positive(window_scale=self.window_scale)
        not_negative(deviation=self.deviation, overlap_power=self.overlap_power, input_noise=self.input_noise)

    def build(self, channels: int, classes: int) -> TriDet:
        """Return an untrained network."""
        return TriDet(
            channels,
            classes if self.multi_class else None,
            length=self.longest,
            width=self.width,
            windows=(self.perception_window,) * self.levels,
            window_scale=self.window_scale,
            hidden=self.hidden,
            deviation=self.deviation,
            head_width=self.head_width,
            head_kernel_size=self.head_kernel_size,
            boundary_kernel_size=self.boundary_kernel_size,
            bins=self.bins,
            absolute_position=self.absolute_position,
            input_noise=self.input_noise,
            ranges=self.ranges,
            candidates=self.candidates,
            min_duration=self.min_duration,
            overlap_power=self.overlap_power,
            regression_weight=self.regression_weight,
            label_smoothing=self.label_smoothing,
            normalizer=self.normalizer,
        )
