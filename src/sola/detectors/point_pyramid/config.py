"""Settings shared by detectors on a pyramid of points."""

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
"""Maximum number of random crops to try until a crop contains an action."""
MOST_LEVELS = 16
"""Maximum number of pyramid levels; the published values are 6 and 7."""
MOST_UNITS = 2**18
"""Maximum number of units per clip: 18 hours at four features per second."""


@dataclass(frozen=True)
class PointPyramidConfig(DetectorConfig):
    """Settings for training and detection on a pyramid of points; the defaults are for ActionFormer on THUMOS14."""

    resize_length: int | None = None
    """Length to which every video is rescaled (units), or None to keep its length."""
    snippets_per_unit: int = 1
    """Snippets per unit, if videos keep their length."""
    length: int = 2304
    """Maximum length of a training clip (units); longer videos are cropped at random in training."""
    multi_class: bool = True
    """Whether to predict classes, instead of proposals to which a classifier assigns classes."""
    width: int = 512
    """Number of channels of the network."""
    levels: int = 6
    """Number of pyramid levels; each level halves the time resolution."""
    absolute_position: bool = False
    """Whether to add sinusoidal position embeddings to the features."""
    min_duration: float = 0.05
    """Duration that a segment must exceed (units)."""
    overlapping_ranges: bool = False
    """Whether the ranges of neighboring levels overlap by half, so that two levels detect an action (EPIC-Kitchens)."""
    candidates: int = 2000
    """Maximum number of segments per level before suppression."""
    regression_weight: float = 1.0
    """Weight of the distance-IoU loss relative to the focal loss."""
    label_smoothing: float = 0.0
    """Label smoothing of the classes, 0 to 1."""
    normalizer: float = 100.0
    """Initial value of the running mean of the number of positive points, which normalizes the loss."""
    final_rate: float = 0.0
    """Final learning rate, as a share of the initial learning rate."""
    crop: float = 0.9
    """Minimum share of a video in a random training crop; 1 disables cropping."""
    inside: float = 0.5
    """Minimum share of an instance inside a crop; other instances are dropped."""
    crop_overhang: float = 2.0
    """Distance beyond a crop at which its instances are cut (units), measured from the center of its first unit and of
    the unit after its last one; ActionFormer uses half the window of a snippet."""
    warmup_epochs: int = 5
    """Epochs of linear learning rate warm-up before the cosine decay."""
    clip_norm: float | None = 1.0
    """Maximum norm of the gradients, or None for no clipping."""
    ema_decay: float = 0.999
    """Decay per step of the averaged weights, which are evaluated and saved."""
    sigma: float = 0.5
    """Width sigma of the Gaussian score decay of soft-NMS, exp(-tIoU²/sigma)."""

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
        """Length of the longest training clip (units)."""
        return self.resize_length or self.length

    @property
    def detection_batch_size(self) -> int:
        """One clip, because videos differ in length and are not padded to a common length."""
        return 1

    @property
    def ranges(self) -> list[tuple[float, float]] | None:
        """Least and largest distance to the farther end of an action per level (units), or None for the default."""
        return overlapping(self.levels) if self.overlapping_ranges else None

    def clipping(self) -> Clipping:
        """Return settings for whole videos, rescaled or with their own length."""
        return Clipping(self.resize_length, snippets_per_unit=self.snippets_per_unit)

    def decay(self) -> Gaussian:
        """Return the score decay of Gaussian soft-NMS."""
        return Gaussian(self.sigma)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return AdamW with weight decay only for the weights of linear layers and convolutions."""
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            (decayed if name.endswith("weight") and parameter.ndim > 1 else others).append(parameter)
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.learning_rate, fused=True)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the learning rate factor at a step: linear warm-up followed by cosine decay, per iteration."""
        done, total = epoch * steps + step, self.epochs * steps
        warmup = round(total * self.warmup_epochs / self.epochs)
        if done < warmup:
            return done / max(warmup - 1, 1)
        cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(total - warmup, 1)))
        return self.final_rate + (1 - self.final_rate) * cosine

    def averaged(self, model: nn.Module) -> AveragedModel:
        """Return the exponential moving average of the weights, which starts from the initial weights."""
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))  # type: ignore[no-untyped-call]
        average.n_averaged.fill_(1)  # the initial weights count, as in the authors' code
        return average

    def augment(self, example: Example, generator: np.random.Generator) -> Example:
        """Return a random crop of a clip that contains an action.

        A clip longer than `longest` units is cropped to that length. A shorter clip is cropped to a random share of its
        length, at least `crop`. Instances with a share of less than `inside` in the crop are dropped. The others are
        cut, as in the authors' code, at `crop_overhang` from the centers of the first unit and of the unit after the
        last one.
        """
        values, instances, labels = example
        length = len(values)
        size = self.longest
        if length <= self.longest:
            shortest = max(round(self.crop * length), 1)
            size = int(generator.integers(shortest, length + 1)) if self.crop < 1 else length
        if size >= length:
            return example
        for _ in range(CROP_TRIES):
            first = int(generator.integers(0, length - size + 1))
            center = first + 0.5
            inside = instances.clamp(center - self.crop_overhang, center + size + self.crop_overhang)
            share = (inside[:, 1] - inside[:, 0]) / (instances[:, 1] - instances[:, 0]).clamp(min=1e-8)
            chosen = share >= self.inside
            if chosen.any():
                break
        return Example(values[first : first + size], inside[chosen] - first, labels[chosen])


def overlapping(levels: int) -> list[tuple[float, float]]:
    """Return the range of each level (units); each range starts at half the end of the previous range.

    >>> overlapping(4)
    [(0.0, 4.0), (2.0, 8.0), (4.0, 16.0), (8.0, 10000.0)]
    """
    ranges = [(2.0**level if level else 0.0, 4.0 * 2**level) for level in range(levels)]
    return [*ranges[:-1], (ranges[-1][0], LONGEST)]
