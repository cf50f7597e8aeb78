"""The loss of a proposal map, that of BMN and of G-TAD: boundaries + 10·regression + classification.

It differs from JJBOY's program in two cases. Without positives in a batch the term is 0, not NaN. With more cells of
high IoU than of middling or low ones, that class is kept whole, and no cell that does not exist is added.
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
"""IoU above which a cell is a proposal."""

HIGH, LOW = 0.7, 0.3
"""IoUs between which a cell is middling in the regression."""


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
    """Return the loss of a batch, balanced over it, as published; `generator` samples the cells of the regression."""

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
    """Return half the mean of -log p, weighted by `positive`, plus half that of -log(1-p), weighted by `negative`.

    The published coefficients .5·N/N⁺ and .5·ratio/(ratio-1) = .5·N/N⁻ turn the mean over all N entries into these.
    """

    def mean(value: Tensor, weight: Tensor) -> Tensor:
        total = weight.sum()
        return (value * weight).sum() / torch.where(total > 0, total, 1.0)

    return -0.5 * (mean((probability + EPSILON).log(), positive) + mean((1 - probability + EPSILON).log(), negative))


def balanced_regression(
    predicted: Float[Tensor, "*map"], iou: Float[Tensor, "*map"], generator: torch.Generator
) -> Float[Tensor, ""]:
    """Return half the mean squared error of the IoU over the cells of `drawn_cells`."""
    kept = drawn_cells(iou, generator).to(predicted.dtype)
    return 0.5 * (kept * (predicted - iou).square()).sum() / kept.sum().clamp(min=1)


def drawn_cells(iou: Float[Tensor, "*map"], generator: torch.Generator) -> Bool[Tensor, "*map"]:
    """Return all cells of IoU > .7, and about as many random ones each of (.3, .7] and of (0, .3]."""
    high = iou > HIGH
    middling = (iou > LOW) & ~high
    low = (iou > 0) & (iou <= LOW)
    kept = high
    for drawn in (middling, low):
        share = high.sum() / drawn.sum().clamp(min=1)
        # drawn on the generator's device, so that a seed gives the same on every device
        chance = torch.rand(iou.shape, generator=generator, device=generator.device).to(iou.device)
        kept = kept | (drawn & (chance < share))
    return kept
