"""Target assignment of TemporalMaxer: a positive point regresses to the instance that its prediction fits best."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sola.detectors.point_pyramid.loss import distance_iou_loss, focal_loss
from sola.detectors.point_pyramid.points import PointPrediction, PointPyramid, PointTargets

OVERLAP_WEIGHT = 2.0
"""Weight of the distance-IoU loss relative to the focal loss in the assignment cost."""


@dataclass(frozen=True, eq=False)
class InstanceTargets:
    """Targets of a batch before the assignment."""

    points: PointTargets
    """Targets of ActionFormer, whose classes TemporalMaxer uses too."""
    instances: Sequence[Float[Tensor, "_ 2"]]
    """Start and end of each instance of each clip (units)."""
    labels: Sequence[Int[Tensor, " _"]]
    """Class of each instance of each clip."""


@torch.no_grad()
def chosen_targets(targets: InstanceTargets, prediction: PointPrediction, pyramid: PointPyramid) -> PointTargets:
    """Return targets with offsets to the instance with the lowest cost among those that contain the point.

    The cost is the focal loss of the point's logits for the class of the instance, plus twice the distance-IoU loss of
    its offsets. Only positive points are reassigned. This equals optimal transport assignment (Ge et al., CVPR 2021)
    with the settings of the published configurations, where no instance is dropped and all weights are 1. As in the
    published code, the class of the chosen instance may differ from the class targets of the point.
    """
    logits = torch.cat(prediction.logits, dim=1)
    offsets = torch.cat(prediction.offsets, dim=1)
    valid = torch.cat(prediction.masks, dim=1)
    lengths = [level.shape[1] for level in prediction.logits]
    position, stride = (column.to(logits.device) for column in pyramid.grid(lengths))
    positive = (targets.points.classes.to(logits.device).sum(2) > 0) & valid
    chosen = targets.points.offsets.to(logits.device, copy=True)
    for clip, (instances, labels) in enumerate(zip(targets.instances, targets.labels, strict=True)):
        (point,) = positive[clip].nonzero(as_tuple=True)
        if not len(point):
            continue
        start, end = instances.double().to(logits.device).T
        extent = torch.stack([position[point, None] - start, end - position[point, None]], dim=2)
        extent = (extent / stride[point, None, None]).float()
        cost = instance_costs(logits[clip, point].float(), offsets[clip, point].float(), extent, labels)
        chosen[clip, point] = extent[torch.arange(len(point), device=logits.device), cost.argmin(dim=1)]
    return PointTargets(targets.points.classes, chosen)


def instance_costs(
    logits: Float[Tensor, "points classes"],
    offsets: Float[Tensor, "points 2"],
    extent: Float[Tensor, "points instances 2"],
    labels: Int[Tensor, " instances"],
) -> Float[Tensor, "points instances"]:
    """Return the cost of each instance at each point, which is infinite if the instance does not contain the point.

    `extent` has the distances from the points to start and end of the instances (strides).
    """
    outside = (extent < 0).any(dim=2)
    inside = extent.clamp(min=0)
    overlap = distance_iou_loss(offsets[:, None].expand_as(inside).flatten(0, 1), inside.flatten(0, 1))
    absent, present = (focal_loss(logits, torch.full_like(logits, target)) for target in (0.0, 1.0))
    classification = absent.sum(1, keepdim=True) + (present - absent)[:, labels.to(logits.device)]
    cost = classification + OVERLAP_WEIGHT * overlap.view(outside.shape)
    return cost.masked_fill(outside, torch.inf)
