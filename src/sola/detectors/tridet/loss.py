"""The loss of TriDet (section 3.4): focal loss weighted by the IoU of the segments, and distance-IoU loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from sola.core.checks import not_negative
from sola.detectors.point_pyramid.loss import EPSILON, PointCriterion, PointLoss, distance_iou_loss, focal_loss
from sola.detectors.point_pyramid.points import PointTargets
from sola.detectors.tridet.outputs import TridentPrediction

LEAST_OVERLAP = 1e-12
"""IoU below which the weight of the focal loss has no gradient; at 0, the gradient would be infinite."""


class TriDetLoss(PointCriterion):
    """Loss of a `TridentPrediction`; half-precision inputs are summed in float32.

    The focal loss of the positive classes of a point is multiplied by IoU^`overlap_power`, with the IoU of the
    predicted and the annotated segment. The gradient flows through both factors. See `PointCriterion` for the other
    parameters.
    """

    def __init__(
        self,
        *,
        overlap_power: float = 1.0,
        regression_weight: float = 1.0,
        label_smoothing: float = 0.0,
        normalizer: float = 100.0,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(
            regression_weight=regression_weight,
            label_smoothing=label_smoothing,
            normalizer=normalizer,
            momentum=momentum,
        )
        not_negative(overlap_power=overlap_power)
        self.overlap_power = overlap_power

    def forward(self, prediction: TridentPrediction, targets: PointTargets) -> PointLoss:
        """Return the loss of a batch; without positive points, the regression loss is 0."""
        logits = torch.cat(prediction.logits, dim=1)
        valid = torch.cat(prediction.masks, dim=1)
        classes = targets.classes.to(logits.device)
        positive = (classes > 0) & valid[:, :, None]
        count = self.count(positive.any(dim=2))
        clip, point, label = positive.nonzero(as_tuple=True)
        predicted, order = _offsets(prediction, clip, point, label)
        target = targets.offsets.to(logits.device)[clip[order], point[order]]
        losses = focal_loss(logits.float(), self.smoothed(classes))
        index = clip[order], point[order], label[order]
        weight = _overlap(predicted, target).clamp(min=LEAST_OVERLAP) ** self.overlap_power
        losses = losses.index_put(index, losses[index] * weight)
        classification = losses[valid].sum() / count
        regression = distance_iou_loss(predicted, target).sum() / count
        return PointLoss(classification + self.regression_weight * regression, classification, regression)


def _offsets(
    prediction: TridentPrediction, clip: Tensor, point: Tensor, label: Tensor
) -> tuple[Float[Tensor, "chosen 2"], Tensor]:
    """Return the offsets at points, sorted by level, and their order; the index `point` counts over all levels."""
    offsets, order, first = [], [], 0
    for level, logits in enumerate(prediction.logits):
        (chosen,) = ((point >= first) & (point < first + logits.shape[1])).nonzero(as_tuple=True)
        offsets.append(prediction.offsets_at(level, clip[chosen], point[chosen] - first, label[chosen]))
        order.append(chosen)
        first += logits.shape[1]
    return torch.cat(offsets), torch.cat(order)


def _overlap(predicted: Float[Tensor, "chosen 2"], target: Float[Tensor, "chosen 2"]) -> Float[Tensor, " chosen"]:
    """Return the IoU of segments around the same points."""
    inner, outer = torch.minimum(predicted, target).sum(1), torch.maximum(predicted, target).sum(1)
    return inner / outer.clamp(min=EPSILON)
