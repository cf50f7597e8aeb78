"""The λ target, the similarity map, and the four losses (supplement, section B).

`i` and `j` are positions of the similarity map (0 … n-1), not snippets of the video. In every map, row i is the anchor,
which gets no gradient, and column j is the prediction.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from sola.softlanding.kinds import Loss, Probability

EDGE = 1e-5
"""Replaces probabilities ≤ 0; 1 - EDGE replaces probabilities ≥ 1."""


def lambda_target(positions: int, k: float) -> Float[Tensor, "positions positions"]:
    """Return the target similarity of positions i and j: 1 if i = j, else sigmoid(K / (i-j)²).

    Equation 1 of the paper, as in the published code. With K = 16, the values at |i-j| = 1 … 7 are 1.000 .982 .855 .731
    .655 .609 .581. The target is never below ½.
    """
    index = torch.arange(positions)
    distance = (index[:, None] - index[None, :]).abs()
    target = torch.sigmoid(k / distance.clamp(min=1).square())
    return torch.where(distance == 0, 1.0, target)


def similarity_map(
    anchor: Float[Tensor, "batch positions channels"], prediction: Float[Tensor, "batch positions channels"]
) -> Float[Tensor, "batch positions positions"]:
    """Return the predicted temporal similarity map: cos(stop-gradient(z_i), g(z_j)).

    With the symmetric projector (Table 6), g is the identity and `prediction` is `anchor`.
    """
    anchor = F.normalize(anchor.detach(), dim=-1)
    return anchor @ F.normalize(prediction, dim=-1).transpose(1, 2)


def matching_probability(
    cosine: Float[Tensor, "*map"], kind: Probability = "cosine", epsilon: float = 1e-6
) -> Float[Tensor, "*map"]:
    """Map cosine similarities to probabilities p̂ in (0, 1).

    "cosine" is (1 + cos)/2, as in the published code. "exponential" is 1 - exp(-sim) with sim = 1/(‖z_i - z_j‖² + ε)
    for unit vectors (Equations 4 and 5); ε keeps it finite for equal vectors. Values ≥ 1 become 1 - 1e-5 and values ≤ 0
    become 1e-5; both have no gradient. Other values do not change.
    """
    if kind == "cosine":
        probability = (1 + cosine) / 2
    else:
        squared_distance = (2 - 2 * cosine).clamp(min=0)
        probability = -torch.expm1(-1 / (squared_distance + epsilon))
    probability = torch.where(probability >= 1, 1 - EDGE, probability)
    return torch.where(probability <= 0, EDGE, probability)


def similarity_matching(
    probability: Float[Tensor, "batch positions positions"], target: Float[Tensor, "positions positions"]
) -> Float[Tensor, ""]:
    """Return L_SM (Equation 5): binary cross-entropy of p̂ against λ, averaged over all cells of the map."""
    # log(1 - p̂) is finite because p̂ ≤ 1 - 1e-5
    loss = -target * probability.log() - (1 - target) * torch.log1p(-probability)
    return loss.mean()


def nt_xent(
    similarity: Float[Tensor, "batch positions positions"],
    positive: Bool[Tensor, "positions positions"],
    temperature: float = 1.0,
) -> Float[Tensor, "batch positions positions"]:
    """Return NT-Xent (Equation 1) for each ordered pair (i, j), treated as a positive pair.

    The denominator sums over j and every k that is not a positive of i, so an anchor with several positives has one
    term for each.
    """
    pair, other = _pairs(similarity / temperature)
    negative = _others(positive) & ~positive[:, None, :]
    return torch.logaddexp(pair, _log_sum_exp(other, negative.to(other.dtype))) - pair


def softened_inside(
    similarity: Float[Tensor, "batch positions positions"],
    target: Float[Tensor, "positions positions"],
    temperature: float = 1.0,
) -> Float[Tensor, "batch positions positions"]:
    """Return L_in (Equation 2) for each ordered pair (i, j): λ and 1-λ are inside the exponentials."""
    pair, other = _pairs(similarity / temperature)
    alignment = target * pair
    repelled = (1 - target)[:, None, :] * other
    return torch.logaddexp(alignment, _log_sum_exp(repelled, _others(target).to(other.dtype))) - alignment


def softened_outside(
    similarity: Float[Tensor, "batch positions positions"],
    target: Float[Tensor, "positions positions"],
    temperature: float = 1.0,
) -> Float[Tensor, "batch positions positions"]:
    """Return L_out (Equation 3) for each ordered pair (i, j): λ and 1-λ are factors of the exponentials."""
    pair, other = _pairs(similarity / temperature)
    weight = _others(target) * (1 - target)[:, None, :]
    # log(λ·exp(sim)); λ = 0 becomes the smallest positive number, so that the logarithm has a gradient
    attracted = target.clamp(min=torch.finfo(target.dtype).tiny).log() + pair
    return torch.logaddexp(attracted, _log_sum_exp(other, weight.to(other.dtype))) - target * pair


def matching_loss(
    similarity: Float[Tensor, "batch positions positions"],
    target: Float[Tensor, "positions positions"],
    loss: Loss = "similarity_matching",
    probability: Probability = "cosine",
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    """Return the named loss for cosine similarity maps.

    Similarity matching is averaged over all cells, the softened losses over the ordered pairs i ≠ j, and NT-Xent over
    its positives, which are the neighbors |i-j| = 1.
    """
    if loss == "similarity_matching":
        return similarity_matching(matching_probability(similarity, probability), target)
    if loss == "nt_xent":
        index = torch.arange(len(target), device=target.device)
        neighbor = (index[:, None] - index[None, :]).abs() == 1
        return nt_xent(similarity, neighbor, temperature)[:, neighbor].mean()
    softened = softened_inside if loss == "softened_inside" else softened_outside
    return softened(similarity, target, temperature)[:, ~_diagonal(target)].mean()


def _diagonal(matrix: Tensor) -> Tensor:
    return torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)


def _pairs(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Return sim(i, j) as [batch, i, j], and sim(i, k) for each pair as [batch, i, j, k]."""
    n = similarity.shape[-1]
    return similarity, similarity[:, :, None, :].expand(-1, n, n, n)


def _others(matrix: Tensor) -> Tensor:
    """Return whether k ≠ i and k ≠ j, as [i, j, k]."""
    same = _diagonal(matrix)
    return ~(same[:, None, :] | same[None, :, :])


def _log_sum_exp(exponent: Tensor, weight: Tensor) -> Tensor:
    """Return log Σ_k weight·exp(exponent) over the last axis, or -inf without a gradient if all weights are 0."""
    counted = weight > 0
    top = torch.where(counted, exponent, -math.inf).amax(-1, keepdim=True).detach()
    top = torch.where(top.isinf(), 0.0, top)
    total = (weight * torch.where(counted, exponent - top, 0.0).exp()).sum(-1)
    empty = total == 0
    return torch.where(empty, -math.inf, torch.where(empty, 1.0, total).log() + top.squeeze(-1))
