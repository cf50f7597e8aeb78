"""Settings that detectors on a pyramid of points share."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sola.core.checks import at_least, fraction, not_negative
from sola.core.errors import SolaError
from sola.detectors.base import DetectorConfig
from sola.detectors.clips import Clipping, Example
from sola.detectors.point_pyramid.points import LONGEST
from sola.detectors.postprocess.soft_nms import Gaussian

CROP_TRIES = 200
"""Maximum number of random positions to try for a crop that holds an action."""
MOST_LEVELS = 16
"""Maximum number of pyramid levels; published are 6 and 7."""
MOST_UNITS = 2**18
"""Maximum number of units per clip: eighteen hours at four features a second."""


@dataclass(frozen=True)
class PointPyramidConfig(DetectorConfig):
    """Settings of training and detection on a pyramid of points; the defaults are ActionFormer's for THUMOS14."""

    resize_length: int | None = None
    """Units that every video is rescaled to; None keeps its own length."""
    snippets_per_unit: int = 1
    """Snippets per unit where a video keeps its own length."""
    length: int = 2304
    """Maximum length of a training clip, in units; longer videos are cropped at random, in training only."""
    multi_class: bool = True
    """Prediction of classes, instead of proposals that a classifier names."""
    width: int = 512
    """Width of the network, in channels."""
    levels: int = 6
    """Number of pyramid levels, each half as fine as the one before."""
    absolute_position: bool = False
    """Sinusoidal position embeddings, added to the features."""
    min_duration: float = 0.05
    """Duration that a segment must exceed, in units."""
    overlapping_ranges: bool = False
    """Ranges of the levels that overlap by half, for points of two levels on one action (EPIC-Kitchens)."""
    candidates: int = 2000
    """Maximum number of segments per level before suppression."""
    regression_weight: float = 1.0
    """Weight of the distance-IoU loss relative to the focal loss."""
    label_smoothing: float = 0.0
    """Label smoothing of the classes."""
    normalizer: float = 100.0
    """Initial value of the running mean of positive points, which normalizes the loss."""
    final_rate: float = 0.0
    """Learning rate at the end, as a share of the initial one."""
    crop: float = 0.9
    """Minimum share of a video that a random crop keeps in training; 1 disables cropping."""
    inside: float = 0.5
    """Minimum share of an instance that a crop holds; others are left out of it."""
    crop_overhang: float = 2.0
    """Units before the center of a crop's first unit, and after the center of the one that follows its last, at which
    instances are cut; ActionFormer's is half a snippet's window."""
    warmup_epochs: int = 5
    """Epochs of linear learning rate warm-up, before the cosine decay."""
    clip_norm: float | None = 1.0
    """Maximum norm of the gradients; None disables clipping."""
    ema_decay: float = 0.999
    """Decay per step of the averaged weights, which are evaluated and kept."""
    sigma: float = 0.5
    """Width of the Gaussian score decay of soft-NMS, exp(-tIoU²/sigma)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.warmup_epochs < self.epochs:
            raise SolaError(
                f"warmup_epochs={self.warmup_epochs}: expected 0 to {self.epochs - 1}, less than the number of epochs; "
                f"pass --warmup-epochs {self.epochs // 2}"
            )
        fraction("(0, 1]", crop=self.crop, ema_decay=self.ema_decay, inside=self.inside)
        fraction("[0, 1]", final_rate=self.final_rate)
        not_negative(crop_overhang=self.crop_overhang)
        at_least(1, length=self.length, candidates=self.candidates)
        if not 1 <= self.levels <= MOST_LEVELS:
            raise SolaError(f"levels={self.levels}: expected 1 to {MOST_LEVELS}")
        if self.longest > MOST_UNITS:
            raise SolaError(f"length={self.longest}: expected at most {MOST_UNITS:,} units")

    @property
    def predicts_classes(self) -> bool:
        """Whether detections have classes."""
        return self.multi_class

    @property
    def longest(self) -> int:
        """Units of the longest training clip."""
        return self.resize_length or self.length

    @property
    def detection_batch_size(self) -> int:
        """One clip: videos differ in length, and are not padded to one another."""
        return 1

    @property
    def ranges(self) -> list[tuple[float, float]] | None:
        """Least and largest distance to the farther end of an action, for each level; None is the default."""
        return overlapping(self.levels) if self.overlapping_ranges else None

    def clipping(self) -> Clipping:
        """Return whole videos, rescaled or at their own length."""
        return Clipping(self.resize_length, snippets_per_unit=self.snippets_per_unit)

    def decay(self) -> Gaussian:
        """Return the soft-NMS."""
        return Gaussian(self.sigma)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return AdamW, with weight decay for linear layers and convolutions, but not for biases, norms and scales."""
        decayed: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            (decayed if name.endswith("weight") and parameter.ndim > 1 else plain).append(parameter)
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.learning_rate, fused=True)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the share of the learning rate at a step: a linear warm-up, then a cosine (per iteration)."""
        done, total = epoch * steps + step, self.epochs * steps
        warmup = round(total * self.warmup_epochs / self.epochs)
        if done < warmup:
            return done / max(warmup - 1, 1)
        cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(total - warmup, 1)))
        return self.final_rate + (1 - self.final_rate) * cosine

    def averaged(self, model: nn.Module) -> AveragedModel:
        """Return the exponential moving average of the weights, which starts from the initial ones."""
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))  # type: ignore[no-untyped-call]
        average.n_averaged.fill_(1)  # the initial weights count, as in the authors' program
        return average

    def augment(self, example: Example, generator: np.random.Generator) -> Example:
        """Return a random piece of a clip, with an action in it.

        A clip of more than `longest` units is cut to that length, a shorter one to a random share of its length, at
        least `crop`. Instances of which less than `inside` is in it are left out; the others are cut, as the authors'
        programs do, at `crop_overhang` from the centers of its first unit and of the one that follows its last.
        """
        values, instances, labels = example
        length = len(values)
        kept = self.longest
        if length <= self.longest:
            shortest = max(round(self.crop * length), 1)
            kept = int(generator.integers(shortest, length + 1)) if self.crop < 1 else length
        if kept >= length:
            return example
        for _ in range(CROP_TRIES):
            first = int(generator.integers(0, length - kept + 1))
            center = first + 0.5
            inside = instances.clamp(center - self.crop_overhang, center + kept + self.crop_overhang)
            share = (inside[:, 1] - inside[:, 0]) / (instances[:, 1] - instances[:, 0]).clamp(min=1e-8)
            chosen = share >= self.inside
            if chosen.any():
                break
        return Example(values[first : first + kept], inside[chosen] - first, labels[chosen])


def overlapping(levels: int) -> list[tuple[float, float]]:
    """Return ranges of which each but the first begins where half of the one before it ends.

    >>> overlapping(4)
    [(0.0, 4.0), (2.0, 8.0), (4.0, 16.0), (8.0, 10000.0)]
    """
    ranges = [(2.0**level if level else 0.0, 4.0 * 2**level) for level in range(levels)]
    return [*ranges[:-1], (ranges[-1][0], LONGEST)]
