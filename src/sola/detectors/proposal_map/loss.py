"""The loss of a proposal map for BMN and G-TAD: boundaries + 10·regression + classification.

It differs from JJBOY's code in two cases. A term without positives in the batch is 0, not NaN. If there are more cells
with a high IoU than cells with a medium or low IoU, all of the latter are used, and no invalid cells are added.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sola.detectors.proposal_map.map import MapPrediction, MapTargets, ProposalMap

EPSILON = 1e-6
"""Added to probabilities before the logarithm."""

REGRESSION_WEIGHT = 10.0

BOUNDARY_POSITIVE = 0.5
"""Target above which a snippet is a boundary."""

PROPOSAL_POSITIVE = 0.9
"""IoU above which a cell is a positive proposal."""

HIGH, LOW = 0.7, 0.3
"""Upper and lower limit of a medium IoU in the regression."""


@dataclass(frozen=True, eq=False)
class MapLoss:
    """The loss of a batch and its terms before weighting."""

    total: Float[Tensor, ""]
    boundary: Float[Tensor, ""]
    regression: Float[Tensor, ""]
    classification: Float[Tensor, ""]


def map_loss(
    proposals: ProposalMap, prediction: MapPrediction, targets: MapTargets, generator: torch.Generator
) -> MapLoss:
    """Return the loss, balanced over the whole batch, as published; `generator` samples cells for the regression."""

    def logistic(probability: Tensor, target: Tensor, threshold: float) -> Tensor:
        positive = target > threshold
        return balanced_logistic(probability.float(), positive.float(), (~positive).float())

    valid = torch.from_numpy(proposals.valid).to(targets.iou.device)
    predicted, iou = prediction.confidence[:, :, valid].float(), targets.iou[:, valid].float()
    boundary = logistic(prediction.start, targets.start, BOUNDARY_POSITIVE)
    boundary = boundary + logistic(prediction.end, targets.end, BOUNDARY_POSITIVE)
    regression = balanced_regression(predicted[:, 0], iou, generator)
    classification = logistic(predicted[:, 1], iou, PROPOSAL_POSITIVE)
    return MapLoss(boundary + REGRESSION_WEIGHT * regression + classification, boundary, regression, classification)


def balanced_logistic(
    probability: Float[Tensor, "*map"], positive: Float[Tensor, "*map"], negative: Float[Tensor, "*map"]
) -> Float[Tensor, ""]:
    """Return half the mean of -log p weighted by `positive`, plus half the mean of -log(1-p) weighted by `negative`.

    This equals the published mean over all N entries with the coefficients .5·N/N⁺ and .5·ratio/(ratio-1) = .5·N/N⁻.
    """

    def mean(value: Tensor, weight: Tensor) -> Tensor:
        total = weight.sum()
        return (value * weight).sum() / torch.where(total > 0, total, 1.0)

    return -0.5 * (mean((probability + EPSILON).log(), positive) + mean((1 - probability + EPSILON).log(), negative))


def balanced_regression(
    predicted: Float[Tensor, "*map"], iou: Float[Tensor, "*map"], generator: torch.Generator
) -> Float[Tensor, ""]:
    """Return half the mean squared error of the IoU over the cells of `drawn_cells`."""
    weight = drawn_cells(iou, generator).to(predicted.dtype)
    return 0.5 * (weight * (predicted - iou).square()).sum() / weight.sum().clamp(min=1)


def drawn_cells(iou: Float[Tensor, "*map"], generator: torch.Generator) -> Bool[Tensor, "*map"]:
    """Return a mask of all cells with IoU > .7, and about as many random cells each from (.3, .7] and (0, .3]."""
    high = iou > HIGH
    medium = (iou > LOW) & ~high
    low = (iou > 0) & (iou <= LOW)
    selected = high
    for group in (medium, low):
        share = high.sum() / group.sum().clamp(min=1)
        # draw on the device of the generator, so that a seed gives the same cells on every device
        number = torch.rand(iou.shape, generator=generator, device=generator.device).to(iou.device)
        selected = selected | (group & (number < share))
    return selected
