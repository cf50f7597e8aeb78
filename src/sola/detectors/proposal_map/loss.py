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

BOUNDARY_POSITIVE = 0.5
"""Above this target a snippet is a boundary."""

PROPOSAL_POSITIVE = 0.9
"""Above this IoU a cell is a proposal."""

HIGH, LOW = 0.7, 0.3
"""Between these IoUs a cell is middling in the regression."""


@dataclass(frozen=True, eq=False)
class MapLoss:
    """The loss of a batch and its terms before weighting."""

    total: Float[Tensor, ""]
    boundary: Float[Tensor, ""]
    regression: Float[Tensor, ""]
    classification: Float[Tensor, ""]


class ProposalMapLoss:
    """Loss of a `MapPrediction` against `MapTargets`, balanced over the batch, as published."""

    def __init__(self, proposals: ProposalMap, *, regression_weight: float = 10.0) -> None:
        self.proposals, self.regression_weight = proposals, regression_weight

    def __call__(self, prediction: MapPrediction, targets: MapTargets, generator: torch.Generator) -> MapLoss:
        """Return the loss; `generator` draws the cells of the regression."""
        valid = torch.from_numpy(self.proposals.valid).to(targets.iou.device)
        predicted, iou = prediction.confidence[:, :, valid].float(), targets.iou[:, valid].float()
        boundary = boundary_loss(prediction.start, targets.start) + boundary_loss(prediction.end, targets.end)
        regression = balanced_regression(predicted[:, 0], iou, generator)
        positive = iou > PROPOSAL_POSITIVE
        classification = balanced_logistic(predicted[:, 1], positive.float(), (~positive).float())
        total = boundary + self.regression_weight * regression + classification
        return MapLoss(total, boundary, regression, classification)


def boundary_loss(probability: Float[Tensor, "batch time"], target: Float[Tensor, "batch time"]) -> Float[Tensor, ""]:
    """Class-balanced logistic loss of starts, or of ends, over all snippets of the batch."""
    positive = target > BOUNDARY_POSITIVE
    return balanced_logistic(probability.float(), positive.float(), (~positive).float())


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
