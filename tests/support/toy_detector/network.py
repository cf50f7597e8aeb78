"""The network of the toy detector."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sola.data.segments import Segments
from sola.detectors.base import Detector


class Toy(Detector):
    """Predict a probability of action per unit with a linear layer. Runs of units above 0.5 are proposals."""

    predicts_classes = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.score = nn.Conv1d(channels, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.score(features).squeeze(1)

    def targets(self, instances: Sequence[Tensor], labels: Sequence[Tensor], length: int) -> Tensor:
        center = torch.arange(length) + 0.5
        inside = [(center[:, None] > clip[:, 0]) & (center[:, None] < clip[:, 1]) for clip in instances]
        return torch.stack([clip.any(1).float() for clip in inside])

    def loss(self, output: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        return F.binary_cross_entropy_with_logits(output.float(), targets)

    def decode(self, output: Tensor) -> list[Segments]:
        decoded = []
        for probability in output.detach().sigmoid().double().numpy():
            action = np.concatenate([[False], probability > 0.5, [False]])
            change = np.diff(action.astype(int))
            start, end = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
            score = np.array([probability[a:b].mean() for a, b in zip(start, end, strict=True)])
            decoded.append(Segments(start.astype(float), end.astype(float), np.zeros(len(start), np.int64), score))
        return decoded
