"""Decoding of a prediction on the proposal map to scored proposals, before suppression."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sola.data.segments import Segments
from sola.detectors.proposal_map.map import MapPrediction, ProposalMap


def decode_map(
    proposals: ProposalMap,
    prediction: MapPrediction,
    *,
    boundary_scores: bool,
    candidates_only: bool,
    final_boundary: bool,
) -> list[Segments]:
    """Return the scored proposals of each clip in units, in the order of the cells, with label 0.

    The score is cls·reg, times p_start·p_end with `boundary_scores` (BMN). A proposal [s, e] takes the probabilities of
    snippets s and e; one that ends with the clip (e = T), which only `final_boundary` returns, that of the last
    snippet. With `candidates_only`, both boundaries must be among the `candidate_boundaries`.
    """
    start, end = torch.from_numpy(proposals.start), torch.from_numpy(proposals.end)
    chosen = torch.from_numpy(proposals.valid)
    if not final_boundary:
        chosen = chosen & (end < proposals.length)
    start, end = start[chosen], end[chosen]
    last = end.clamp(max=proposals.length - 1)
    p_start, p_end = prediction.start.detach().cpu().double(), prediction.end.detach().cpu().double()
    confidence = prediction.confidence.detach().cpu().double()[:, :, chosen]
    score = confidence[:, 0] * confidence[:, 1]
    if boundary_scores:
        score = score * p_start[:, start] * p_end[:, last]
    kept = torch.ones_like(score, dtype=torch.bool)
    if candidates_only:
        kept = candidate_boundaries(p_start, first=True)[:, start]
        kept = kept & candidate_boundaries(p_end, first=False)[:, last]
    from_unit, to_unit = start.double().numpy(), end.double().numpy()
    return [
        Segments(from_unit[keep], to_unit[keep], np.zeros(keep.sum(), np.int64), value[keep])
        for keep, value in zip(kept.numpy(), score.numpy(), strict=True)
    ]


def candidate_boundaries(probability: Float[Tensor, "batch time"], *, first: bool) -> Bool[Tensor, "batch time"]:
    """Mark strict local peaks, snippets above half the maximum, and the `first` snippet (for starts) or the last."""
    candidate = probability > 0.5 * probability.amax(1, keepdim=True)
    inner = probability[:, 1:-1]
    candidate[:, 1:-1] |= (inner > probability[:, :-2]) & (inner > probability[:, 2:])
    candidate[:, 0 if first else -1] = True
    return candidate
