"""Checks, targets, loss and decoding shared by BMN and G-TAD."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.base import Detector
from sola.detectors.proposal_map.loss import map_loss
from sola.detectors.proposal_map.map import MapPrediction, MapTargets, ProposalMap

GROUPS = 4
"""Number of groups of the first convolution along time."""


class ProposalMapDetector(Detector):
    """A detector that scores every cell of a proposal map.

    Args:
        channels: number of feature channels, a multiple of 4.
        hidden: number of channels inside the network, a multiple of 4.
        proposals: the map.
        anchor: start and end of the anchor around a snippet (units); see `boundary_targets`.
        candidates_only: `decode` returns only proposals between `candidate_boundaries`.
        final_boundary: `decode` also returns proposals that end with the clip, unlike the published programs.

    Raises:
        SolaError: if a value is out of range.
    """

    predicts_classes = False
    boundary_scores: ClassVar[bool]
    """Whether the score of a proposal is multiplied by its boundary probabilities."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        proposals: ProposalMap,
        *,
        anchor: tuple[float, float],
        candidates_only: bool,
        final_boundary: bool,
    ) -> None:
        super().__init__()
        for name, value in {"channels": channels, "hidden": hidden}.items():
            if value < 1 or value % GROUPS:
                raise SolaError(f"{name}={value}: expected a multiple of {GROUPS}, the number of convolution groups")
        if not anchor[0] < anchor[1]:
            raise SolaError(f"anchor={anchor}: expected a start before an end, in units")
        self.channels, self.proposals, self.anchor = channels, proposals, anchor
        self.candidates_only, self.final_boundary = candidates_only, final_boundary

    def check(self, features: Float[Tensor, "batch channels time"]) -> None:
        """Raise SolaError if the clips have another length or number of channels than the network."""
        given, expected = tuple(features.shape[1:]), (self.channels, self.proposals.length)
        if given != expected:
            name = type(self).__name__
            raise SolaError(
                f"features of a clip are {given} (channels, snippets); this {name} was built for {expected}"
            )

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> MapTargets:
        """Return the targets of clips with these instances (units); labels and length are not used."""
        return self.proposals.targets(instances, self.anchor)

    def loss(self, output: MapPrediction, targets: MapTargets, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss; `generator` samples the cells for the regression."""
        return map_loss(self.proposals, output, targets.to(output.start.device), generator).total

    def decode(self, output: MapPrediction) -> list[Segments]:
        """Return the scored proposals of each clip (units) with label 0, in the order of the cells.

        The score is cls·reg, multiplied by p_start·p_end if `boundary_scores` is set. A proposal [s, e] uses the
        boundary probabilities of snippets s and e; a proposal that ends with the clip (e = T) uses the last snippet.
        """
        start, end = torch.from_numpy(self.proposals.start), torch.from_numpy(self.proposals.end)
        chosen = torch.from_numpy(self.proposals.valid)
        if not self.final_boundary:
            chosen = chosen & (end < self.proposals.length)
        start, end = start[chosen], end[chosen]
        last = end.clamp(max=self.proposals.length - 1)
        p_start, p_end = output.start.detach().cpu().double(), output.end.detach().cpu().double()
        confidence = output.confidence.detach().cpu().double()[:, :, chosen]
        score = confidence[:, 0] * confidence[:, 1]
        if self.boundary_scores:
            score = score * p_start[:, start] * p_end[:, last]
        selected = torch.ones_like(score, dtype=torch.bool)
        if self.candidates_only:
            selected = candidate_boundaries(p_start, first=True)[:, start]
            selected = selected & candidate_boundaries(p_end, first=False)[:, last]
        from_unit, to_unit = start.double().numpy(), end.double().numpy()
        return [
            Segments(from_unit[mask], to_unit[mask], np.zeros(mask.sum(), np.int64), value[mask])
            for mask, value in zip(selected.numpy(), score.numpy(), strict=True)
        ]


def candidate_boundaries(probability: Float[Tensor, "batch time"], *, first: bool) -> Bool[Tensor, "batch time"]:
    """Mark strict local peaks, snippets above half the maximum, and the first (for starts) or the last snippet."""
    candidate = probability > 0.5 * probability.amax(1, keepdim=True)
    inner = probability[:, 1:-1]
    candidate[:, 1:-1] |= (inner > probability[:, :-2]) & (inner > probability[:, 2:])
    candidate[:, 0 if first else -1] = True
    return candidate
