"""The loss of ActionFormer (section 3.3): focal loss of the classes, and distance-IoU loss of the boundaries."""

import torch

from sola.detectors.point_pyramid.loss import PointCriterion, PointLoss, distance_iou_loss, focal_loss
from sola.detectors.point_pyramid.points import PointPrediction, PointTargets


class ActionFormerLoss(PointCriterion):
    """Loss of a `PointPrediction` against `PointTargets`; half precision is summed in full."""

    def forward(self, prediction: PointPrediction, targets: PointTargets) -> PointLoss:
        """Return the loss of a batch; finite without any positive point, where the regression is 0."""
        logits = torch.cat(prediction.logits, dim=1)
        valid = torch.cat(prediction.masks, dim=1)
        classes = targets.classes.to(logits.device)
        positive = (classes.sum(2) > 0) & valid
        count = self.count(positive)
        classification = focal_loss(logits[valid].float(), self.smoothed(classes)[valid]).sum() / count
        offsets = torch.cat(prediction.offsets, dim=1)[positive].float()
        wanted = targets.offsets.to(logits.device)[positive]
        regression = distance_iou_loss(offsets, wanted).sum() / count
        return PointLoss(classification + self.regression_weight * regression, classification, regression)
