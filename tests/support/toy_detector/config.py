"""Settings of the toy detector."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from sola.detectors.base import DetectorConfig
from sola.detectors.clips import Clipping
from sola.detectors.postprocess.soft_nms import Hard
from support.toy_detector.network import Toy

LENGTH = 12
"""Units per clip."""


@dataclass(frozen=True)
class ToyConfig(DetectorConfig):
    """Settings of the toy detector."""

    model: Literal["toy"] = "toy"
    """Name of the detector."""
    epochs: int = 30
    """Number of passes over the training clips."""
    learning_rate: float = 0.1
    """Initial learning rate of the optimizer."""

    @property
    def predicts_classes(self) -> bool:
        return False

    def clipping(self) -> Clipping:
        return Clipping(LENGTH)

    def decay(self) -> Hard:
        return Hard(0.5)

    def build(self, channels: int, classes: int) -> Toy:
        return Toy(channels)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=self.learning_rate)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        return 1.0
