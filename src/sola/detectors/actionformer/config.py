"""All that the training of ActionFormer is determined by, beside features and annotations."""

import math
from dataclasses import dataclass
from typing import Literal

from sola.core.errors import SolaError
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.clips import Clipping
from sola.detectors.config import DetectorConfig
from sola.detectors.postprocess import Gaussian

MOST_LEVELS = 16
"""Of the pyramid; published are 6 and 7."""
MOST_UNITS = 2**18
"""Of a clip: eighteen hours at four features a second."""


@dataclass(frozen=True)
class ActionFormerConfig(DetectorConfig):
    """The values of one training, and of making detections of what it gives; the defaults are THUMOS14's."""

    head: Literal["actionformer"] = "actionformer"
    """The transformer head."""
    rescaled: int | None = None
    """Units to which every video is rescaled; none keeps its own length."""
    pace: int = 1
    """Snippets to a unit, where a video keeps its own length."""
    length: int = 2304
    """Units of the longest training clip; longer videos are cropped at random in training, and only there."""
    multi_class: bool = True
    """A score for each class, or proposals that a classifier names."""
    width: int = 512
    """Of the network."""
    attention_window: int = 19
    """What a unit attends to at each level, in that level's units."""
    levels: int = 6
    """Of the pyramid, each half as fine as the one before."""
    global_last: bool = False
    """The coarsest level attends to all."""
    absolute_position: bool = False
    """Sinusoid positions are added to the features."""
    min_duration: float = 0.05
    """Units that a segment has to last."""
    regression_weight: float = 1.0
    """Of the distance-IoU loss beside the focal one."""
    label_smoothing: float = 0.0
    """Of the classes."""
    normalizer: float = 100.0
    """Positive points that the running mean starts from."""
    crop: float = 0.9
    """Least share of a video that a random crop leaves in training; 1 is no crop."""
    warmup_epochs: int = 5
    """Epochs, of all, in which the learning rate rises from 0; then it falls along a cosine."""
    clip_norm: float = 1.0
    """Norm to which gradients are clipped."""
    average: float = 0.999
    """Share that the averaged weights keep at every step; they are what is evaluated and kept."""
    sigma: float = 0.5
    """Soft-NMS: scores decay as exp(-tIoU²/sigma)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.warmup_epochs < self.epochs:
            raise SolaError(f"warmup_epochs={self.warmup_epochs}: expected 0 to less than the {self.epochs} epochs")
        for name in ("crop", "average"):
            if not 0 < getattr(self, name) <= 1:
                raise SolaError(f"{name}={getattr(self, name)}: expected more than 0 and at most 1")
        if not 1 <= self.levels <= MOST_LEVELS:
            raise SolaError(f"levels={self.levels}: expected 1 to {MOST_LEVELS}")
        if max(self.rescaled or 0, self.length) > MOST_UNITS:
            raise SolaError(f"length={self.rescaled or self.length}: expected at most {MOST_UNITS:,} units")
        if not (self.clip_norm > 0 and math.isfinite(self.clip_norm)):
            raise SolaError(f"clip_norm={self.clip_norm}: expected a number above 0")

    @property
    def knows_classes(self) -> bool:
        """As asked for."""
        return self.multi_class

    def clipping(self) -> Clipping:
        """Whole videos, rescaled or as long as they are."""
        return Clipping(self.rescaled, pace=self.pace)

    def decay(self) -> Gaussian:
        """The soft suppression of segments."""
        return Gaussian(self.sigma)

    def build(self, channels: int, classes: int) -> ActionFormer:
        """An untrained head."""
        windows: list[int | None] = [self.attention_window] * self.levels
        if self.global_last:
            windows[-1] = None
        return ActionFormer(
            channels,
            classes if self.multi_class else 1,
            length=self.rescaled or self.length,
            width=self.width,
            windows=windows,
            absolute_position=self.absolute_position,
            min_duration=self.min_duration,
        )

    def rate(self, step: int, steps: int) -> float:
        """Share of the learning rate at a step of all, from 0: a linear rise, then a cosine (per iteration)."""
        warmup = round(steps * self.warmup_epochs / self.epochs)
        if step < warmup:
            return step / max(warmup - 1, 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
