"""Settings that BMN and G-TAD share."""

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
    """Settings of a detector that scores a map of proposals; the defaults are BMN's on ActivityNet."""

    length: int = 100
    """T, units per clip: cells of the map along time."""
    window_size: int | None = None
    """Snippets per sliding window, rescaled to T units; None is the whole video."""
    window_stride: int | None = None
    """Snippets from one window to the next; None is half of the window size."""
    max_duration: int | None = None
    """Duration of the longest proposal, in units; None is T."""
    candidates_only: bool = False
    """Restriction to proposals between candidate boundaries: local peaks, or above half the maximum."""
    decay_every: int = 7
    """Epochs between divisions of the learning rate by ten."""
    suppression: MapSuppression = "width_adaptive"
    """Kind of soft-NMS: BMN's, whose threshold grows with the width of the proposal, or Gaussian."""
    sigma: float = 0.4
    """Width of the Gaussian score decay, exp(-tIoU²/sigma)."""
    low: float = 0.5
    """tIoU threshold of width-adaptive suppression for the shortest proposals."""
    high: float = 0.9
    """tIoU threshold of width-adaptive suppression for proposals as long as the clip."""

    def __post_init__(self) -> None:
        one_of(MapSuppression, suppression=self.suppression)
        at_least(1, decay_every=self.decay_every)
        super().__post_init__()
        ProposalMap(self.length, self.max_duration)  # checks both

    @property
    def predicts_classes(self) -> bool:
        """False: these detectors find proposals."""
        return False

    def clipping(self) -> Clipping:
        """Return clips of T units."""
        return Clipping(self.length, self.window_size, self.window_stride)

    def decay(self) -> Gaussian | WidthAdaptive:
        """Return the soft-NMS."""
        if self.suppression == "gaussian":
            return Gaussian(self.sigma)
        return WidthAdaptive(self.sigma, self.low, self.high)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return Adam with L2 regularization, as published."""
        return torch.optim.Adam(model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the share of the learning rate in an epoch: divided by ten after every `decay_every` epochs."""
        return float(0.1 ** (epoch // self.decay_every))
