"""Settings shared by BMN and G-TAD."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from sola.core.checks import at_least, one_of
from sola.detectors.base import DetectorConfig
from sola.detectors.clips import Clipping
from sola.detectors.postprocess.soft_nms import Gaussian, WidthAdaptive
from sola.detectors.proposal_map.map import ProposalMap

MapSuppression = Literal["width_adaptive", "gaussian"]


@dataclass(frozen=True)
class ProposalMapConfig(DetectorConfig):
    """Settings of a detector that scores a map of proposals; the defaults are for BMN on ActivityNet."""

    length: int = 100
    """Length T of a clip (units), the number of cells of the map along time."""
    window_size: int | None = None
    """Length of a sliding window (snippets), which is rescaled to T units, or None for the whole video."""
    window_stride: int | None = None
    """Distance between the starts of successive windows (snippets), or None for half the window size."""
    max_duration: int | None = None
    """Duration of the longest proposal (units), or None for T."""
    candidates_only: bool = False
    """Whether to return only proposals between candidate boundaries: local peaks, or above half the maximum."""
    decay_every: int = 7
    """Number of epochs after which the learning rate is divided by ten."""
    suppression: MapSuppression = "width_adaptive"
    """Kind of soft-NMS: width_adaptive (BMN), with a threshold that grows with the proposal's length, or gaussian."""
    sigma: float = 0.4
    """Width sigma of the Gaussian score decay of soft-NMS, exp(-tIoU²/sigma)."""
    low: float = 0.5
    """tIoU threshold of width_adaptive suppression for the shortest proposals."""
    high: float = 0.9
    """tIoU threshold of width_adaptive suppression for proposals as long as the clip."""

    def __post_init__(self) -> None:
        one_of(MapSuppression, suppression=self.suppression)
        at_least(1, decay_every=self.decay_every)
        super().__post_init__()
        ProposalMap(self.length, self.max_duration)  # checks both values

    @property
    def predicts_classes(self) -> bool:
        """False, because these detectors predict proposals."""
        return False

    def clipping(self) -> Clipping:
        """Return settings for clips of T units."""
        return Clipping(self.length, self.window_size, self.window_stride)

    def decay(self) -> Gaussian | WidthAdaptive:
        """Return the score decay of soft-NMS."""
        if self.suppression == "gaussian":
            return Gaussian(self.sigma)
        return WidthAdaptive(self.sigma, self.low, self.high)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return Adam with L2 regularization, as published."""
        return torch.optim.Adam(model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the learning rate factor of an epoch: divided by ten after every `decay_every` epochs."""
        return float(0.1 ** (epoch // self.decay_every))
