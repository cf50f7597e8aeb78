"""What the training of any detector is determined by, beside features and annotations, and how it is run."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import nn

from sola.core.device import Device, Precision
from sola.core.errors import SolaError
from sola.detectors.clips import Clipping
from sola.detectors.postprocess import Gaussian, WidthAdaptive


@dataclass(frozen=True)
class DetectorConfig(ABC):
    """The values that all heads share."""

    epochs: int = 9
    """Times that every clip is visited."""
    batch_size: int = 16
    """Clips in a batch."""
    learning_rate: float = 1e-3
    """Of the optimizer."""
    weight_decay: float = 1e-4
    """Of the optimizer."""
    keep: int = 100
    """Segments of a video that are kept."""
    min_score: float = 0.0
    """Segments whose score, decayed by the suppression, is no higher are dropped."""
    voting: float = 0.0
    """tIoU from which candidates draw a kept segment's boundaries toward theirs; 0 is no voting."""
    voting_weight: Literal["score", "score_iou"] = "score_iou"
    """What a candidate's vote weighs."""
    inside_video: bool = True
    """Segments are cut to what the video's features cover, in the end."""
    top: int = 2
    """Classes that each kept proposal is given, where the head knows none."""
    class_score: Literal["probability", "share"] = "probability"
    """What a class counts: its probability, or that over the sum of the two best ones (G-TAD on HACS)."""
    classifier_epochs: int = 100
    """Of the snippet classifier that names proposals, where the head knows no classes; 0 is none."""
    seed: int = 0
    """Of the initial weights, the order of clips, and whatever else is drawn."""
    precision: Precision = "auto"
    """fp32, bf16, or bf16 where the device has it."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "keep", "top"):
            if getattr(self, name) < 1:
                raise SolaError(f"{name}={getattr(self, name)}: expected a whole number of at least 1")
        for name in ("classifier_epochs", "seed"):
            if getattr(self, name) < 0:
                raise SolaError(f"{name}={getattr(self, name)}: expected a whole number of at least 0")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise SolaError(f"learning_rate={self.learning_rate}: expected a number above 0")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise SolaError(f"weight_decay={self.weight_decay}: expected a number of at least 0")
        if not 0 <= self.voting <= 1:
            raise SolaError(f"voting={self.voting}: expected a tIoU in (0, 1], or 0")
        self.clipping()  # and these refuse what they cannot work with
        self.decay()

    @property
    @abstractmethod
    def knows_classes(self) -> bool:
        """Whether the head gives a score for every class, or proposals that something else must name."""

    @abstractmethod
    def clipping(self) -> Clipping:
        """How videos are cut."""

    @abstractmethod
    def decay(self) -> Gaussian | WidthAdaptive:
        """How a segment lowers the scores of those that overlap it."""

    @abstractmethod
    def build(self, channels: int, classes: int) -> nn.Module:
        """An untrained head for features of that width and so many classes."""
