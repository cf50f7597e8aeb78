"""G-TAD, Sub-Graph Localization (Xu et al., CVPR 2020): the same outputs as the authors' code at lower cost."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.core.checks import at_least, odd
from sola.core.errors import SolaError
from sola.detectors.gtad.alignment import SubgraphAlignment
from sola.detectors.gtad.gcnext import GCNeXt
from sola.detectors.proposal_map.detector import GROUPS, ProposalMapDetector
from sola.detectors.proposal_map.map import MapPrediction, ProposalMap

MOST_BINS = 1024
"""Maximum number of bins of an alignment; the published values are 32 and 4."""


class GTAD(ProposalMapDetector):
    """Predict proposals, scored by cls·reg, with graph blocks, sub-graph alignment and convolutions on the map.

    The defaults are the authors' values for ActivityNet-1.3: 5,563,268 parameters with 400 channels. For THUMOS14, the
    authors use sliding windows with `length=256, max_duration=64, bins=16, context_bins=16, kernel_size=3,
    candidates_only=False`. OpenTAD uses `end_inclusive=True, anchor=(0, 1)`. Weights have PyTorch's default
    initialization, as in the authors' code.

    See `ProposalMap` for `length` and `max_duration`, `SubgraphAlignment` for `bins`, `context_bins` and `neighbors`,
    `aligned_regions` for `context` and `end_inclusive`, and `ProposalMapDetector` for the other parameters.
    `kernel_size` is odd. If it is larger than 1, invalid cells of the map, which align the region [0, 0], affect valid
    cells.

    Raises:
        SolaError: if a value is out of range.
    """

    boundary_scores = False
    cell: Tensor

    def __init__(
        self,
        channels: int,
        length: int = 100,
        *,
        max_duration: int | None = None,
        hidden: int = 256,
        projected: int = 512,
        map_channels: int = 128,
        neighbors: int = 3,
        bins: int = 32,
        context_bins: int = 4,
        context: float = 0.5,
        kernel_size: int = 1,
        end_inclusive: bool = False,
        anchor: tuple[float, float] = (-0.5, 1.5),
        candidates_only: bool = True,
        final_boundary: bool = True,
    ) -> None:
        super().__init__(
            channels,
            hidden,
            ProposalMap(length, max_duration),
            anchor=anchor,
            candidates_only=candidates_only,
            final_boundary=final_boundary,
        )
        at_least(1, projected=projected, map_channels=map_channels, neighbors=neighbors)
        odd(kernel_size=kernel_size)
        if max(bins, context_bins) > MOST_BINS:
            raise SolaError(f"bins={bins}, context_bins={context_bins}: expected at most {MOST_BINS}")
        if length < neighbors:
            raise SolaError(f"length={length}: expected at least {neighbors} snippets, the number of neighbors")
        self.kernel_size = kernel_size
        self.stem = nn.Sequential(nn.Conv1d(channels, hidden, 3, padding=1, groups=GROUPS), nn.ReLU())
        self.base_graph = GCNeXt(hidden, neighbors=neighbors)
        self.start = _boundary_layers(hidden, neighbors)
        self.end = _boundary_layers(hidden, neighbors)
        self.proposal_graph = GCNeXt(hidden, neighbors=neighbors)
        start, end = aligned_regions(self.proposals, context=context, end_inclusive=end_inclusive)
        self.alignment = SubgraphAlignment(
            hidden,
            projected,
            start,
            end,
            length=length,
            bins=bins,
            context_bins=context_bins,
            neighbors=neighbors,
        )
        self.reduction = nn.Sequential(nn.Linear(projected, map_channels), nn.ReLU())
        self.scoring = nn.Sequential(
            nn.Conv2d(map_channels, map_channels, kernel_size, padding=kernel_size // 2),
            nn.ReLU(),
            nn.Conv2d(map_channels, map_channels, kernel_size, padding=kernel_size // 2),
            nn.ReLU(),
            nn.Conv2d(map_channels, 2, 1),
            nn.Sigmoid(),
        )
        cell = np.full(self.proposals.shape, len(start) - 1)
        cell[self.proposals.valid] = np.arange(len(start) - 1)
        self.register_buffer("cell", torch.from_numpy(cell.ravel()), persistent=False)

    def forward(self, features: Float[Tensor, "batch channels time"]) -> MapPrediction:
        """Return the probabilities of the boundaries and of the whole map, including invalid cells.

        Raises:
            SolaError: if the clips have another length or number of channels than the network.
        """
        self.check(features)
        base = self.base_graph(self.stem(features))
        cells = self.reduction(self.alignment(self.proposal_graph(base)).relu_())
        if self.kernel_size == 1:
            # cells are independent, so score each valid cell once, and all invalid cells together
            confidence = self.scoring(cells.transpose(1, 2)[:, :, None])[:, :, 0]
            confidence = confidence.index_select(2, self.cell).unflatten(2, self.proposals.shape)
        else:
            image = cells.index_select(1, self.cell).unflatten(1, self.proposals.shape)
            confidence = self.scoring(image.permute(0, 3, 1, 2))
        return MapPrediction(confidence, self.start(base).squeeze(1), self.end(base).squeeze(1))


def aligned_regions(
    proposals: ProposalMap, *, context: float, end_inclusive: bool
) -> tuple[Float[np.ndarray, " regions"], Float[np.ndarray, " regions"]]:
    """Return start and end (snippets) of the region of each valid cell, row by row, and of a last region [0, 0].

    The region extends beyond each end of the proposal by `context` times its length. Without context, it ends at the
    end unit of the proposal with `end_inclusive` (OpenTAD), otherwise at its last snippet, one unit earlier (the
    authors). All invalid cells use the last region, which the alignment extends to a length of 1.
    """
    start = proposals.start[proposals.valid].astype(np.float64)
    end = proposals.end[proposals.valid].astype(np.float64)
    margin = context * (end - start)
    last = end if end_inclusive else end - 1
    return np.append(start - margin, 0.0), np.append(last + margin, 0.0)


def _boundary_layers(hidden: int, neighbors: int) -> nn.Sequential:
    return nn.Sequential(GCNeXt(hidden, neighbors=neighbors), nn.Conv1d(hidden, 1, 1), nn.Sigmoid())
