"""Losses shared by detectors on a pyramid of points (ActionFormer, section 3.3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import fraction, not_negative, positive
from sola.detectors.point_pyramid.points import PointPrediction, PointTargets

ALPHA, GAMMA = 0.25, 2.0
"""α and γ of the focal loss (Lin et al., ICCV 2017)."""

EPSILON = 1e-8
"""Minimum divisor (strides)."""


@dataclass(frozen=True, eq=False)
class PointLoss:
    """The loss of a batch and its terms before weighting."""

    total: Float[Tensor, ""]
    classification: Float[Tensor, ""]
    regression: Float[Tensor, ""]


class PointCriterion(nn.Module):
    """Settings of a loss, and its normalizer: the running mean of the number of positive points.

    The normalizer is a buffer that starts from `normalizer` and is updated with `momentum` in training. Both sums of
    the loss are divided by it. With `label_smoothing` ε, a target y becomes (1 - ε)·y + ε/(classes + 1).

    Raises:
        SolaError: if a value is out of range.
    """

    normalizer: Tensor

    def __init__(
        self,
        *,
        regression_weight: float = 1.0,
        label_smoothing: float = 0.0,
        normalizer: float = 100.0,
        momentum: float = 0.9,
    ) -> None:
        super().__init__()
        fraction("[0, 1)", label_smoothing=label_smoothing, momentum=momentum)
        positive(normalizer=normalizer)
        not_negative(regression_weight=regression_weight)
        self.regression_weight, self.label_smoothing, self.momentum = regression_weight, label_smoothing, momentum
        self.register_buffer("normalizer", torch.tensor(normalizer, dtype=torch.float32))

    def count(self, positive: Bool[Tensor, "batch points"]) -> Float[Tensor, ""]:
        """Return the running mean; in training, update it first with the number of positive points."""
        if self.training:
            with torch.no_grad():
                self.normalizer.lerp_(positive.sum().clamp(min=1).to(self.normalizer), 1 - self.momentum)
        return self.normalizer

    def smoothed(self, classes: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n classes"]:
        """Apply label smoothing to targets."""
        return (1 - self.label_smoothing) * classes + self.label_smoothing / (classes.shape[-1] + 1)


class OffsetLoss(PointCriterion):
    """Focal loss of the classes plus distance-IoU loss of the offsets (ActionFormer, section 3.3).

    Half-precision inputs are summed in float32.
    """

    def forward(self, prediction: PointPrediction, targets: PointTargets) -> PointLoss:
        """Return the loss of a batch; without positive points, the regression loss is 0."""
        logits = torch.cat(prediction.logits, dim=1)
        valid = torch.cat(prediction.masks, dim=1)
        classes = targets.classes.to(logits.device)
        positive = (classes.sum(2) > 0) & valid
        count = self.count(positive)
        classification = focal_loss(logits[valid].float(), self.smoothed(classes)[valid]).sum() / count
        offsets = torch.cat(prediction.offsets, dim=1)[positive].float()
        target = targets.offsets.to(logits.device)[positive]
        regression = distance_iou_loss(offsets, target).sum() / count
        return PointLoss(classification + self.regression_weight * regression, classification, regression)


def focal_loss(logits: Float[Tensor, "*n"], target: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return -α_t·(1 - p_t)^γ·log(p_t) for each entry, with α = .25 and γ = 2 (Lin et al., ICCV 2017, Equation 5).

    For a target y between 0 and 1, p_t = p·y + (1 - p)·(1 - y), α_t is mixed in the same way, and the cross-entropy
    replaces -log(p_t).
    """
    probability = logits.sigmoid()
    target_probability = probability * target + (1 - probability) * (1 - target)
    alpha = ALPHA * target + (1 - ALPHA) * (1 - target)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return alpha * (1 - target_probability) ** GAMMA * cross_entropy


def distance_iou_loss(
    predicted: Float[Tensor, "points 2"], target: Float[Tensor, "points 2"]
) -> Float[Tensor, " points"]:
    """Return 1 - IoU + (center distance / hull length)² for distances from a point to start and end.

    This is Equation 7 of Zheng et al., AAAI 2020, in one dimension. The distances are not negative.
    """
    inner, outer = torch.minimum(predicted, target).sum(1), torch.maximum(predicted, target).sum(1)
    # both segments contain the point, so their union is the hull
    hull = outer.clamp(min=EPSILON)
    difference = predicted - target
    center_distance = (difference[:, 1] - difference[:, 0]) / 2
    return 1 - inner / hull + (center_distance / hull).square()
