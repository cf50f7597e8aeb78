"""What BMN and G-TAD share besides the map: checks, targets, loss and decoding."""

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
"""Groups of the first convolution along time."""


class ProposalMapDetector(Detector):
    """A detector that scores every cell of a proposal map.

    `channels`, the width of the features, and `hidden`, their width inside the network, are multiples of 4. `anchor` is
    in units around a snippet; see `boundary_targets`. `decode` returns only proposals between `candidate_boundaries`
    with `candidates_only`, and those that end with the clip only with `final_boundary`, unlike the published programs.
    Raises SolaError for a value out of range.
    """

    predicts_classes = False
    boundary_scores: ClassVar[bool]
    """Whether the probabilities of the boundaries are factors of a proposal's score."""

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
                raise SolaError(f"{name}={value}: expected a multiple of {GROUPS}, the groups of the convolutions")
        if not anchor[0] < anchor[1]:
            raise SolaError(f"anchor={anchor}: expected a start before an end, in units")
        self.channels, self.proposals, self.anchor = channels, proposals, anchor
        self.candidates_only, self.final_boundary = candidates_only, final_boundary

    def check(self, features: Float[Tensor, "batch channels time"]) -> None:
        """Raise SolaError for clips of another length or width than the network was built for."""
        given, expected = tuple(features.shape[1:]), (self.channels, self.proposals.length)
        if given != expected:
            name = type(self).__name__
            raise SolaError(f"features are {given} (channels, snippets) a clip; this {name} was built for {expected}")

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> MapTargets:
        """Return the targets for clips with these instances (start, end in units); labels and length are not used."""
        return self.proposals.targets(instances, self.anchor)

    def loss(self, output: MapPrediction, targets: MapTargets, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss; `generator` samples the cells of the regression."""
        return map_loss(self.proposals, output, targets.to(output.start.device), generator).total

    def decode(self, output: MapPrediction) -> list[Segments]:
        """Return the scored proposals of each clip in units, in the order of the cells, with label 0.

        The score is cls·reg, with `boundary_scores` times p_start·p_end. A proposal [s, e] takes the probabilities of
        snippets s and e; one that ends with the clip (e = T) that of the last snippet.
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
        kept = torch.ones_like(score, dtype=torch.bool)
        if self.candidates_only:
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
