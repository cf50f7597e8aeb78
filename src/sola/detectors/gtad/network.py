"""G-TAD: sub-graph localization (Xu et al., CVPR 2020), equal to the authors' program and without its cost."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sola.core.checks import at_least, odd
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.base import Detector
from sola.detectors.gtad.alignment import SubgraphAlignment
from sola.detectors.gtad.gcnext import GCNeXt
from sola.detectors.proposal_map.decoding import decode_map
from sola.detectors.proposal_map.loss import ProposalMapLoss
from sola.detectors.proposal_map.map import MapPrediction, MapTargets, ProposalMap

MOST_BINS = 1024
"""Of an alignment; published are 32 and 4."""
STEM_GROUPS = 4
"""Of the first convolution along time."""


class GTAD(Detector):
    """Graph blocks on the snippets, each proposal's sub-graph aligned, and 1×1 convolutions on the map (Figure 2).

    The defaults are the authors' for ActivityNet-1.3, 5,563,268 parameters at 400 channels (a comment of theirs says
    9,495,428, which are those of 32 + 32 bins and 3×3 convolutions). For THUMOS14 they take sliding windows with
    `length=256, max_duration=64, bins=16, context_bins=16, kernel_size=3` and score every pair of boundaries
    (`candidates_only=False`). Weights start as PyTorch's layers do, as in the authors' program.

    Args:
        channels: of the features, a multiple of 4.
        length: T, snippets of a clip.
        max_duration: D, units that the longest proposal lasts; None is T.
        hidden: width of the snippets' features, a multiple of 4.
        projected: width of a cell after alignment.
        map_channels: width of the layers on the map.
        neighbors: how many nearest neighbors a snippet has, itself among them.
        bins: of a proposal's alignment.
        context_bins: of the alignment of its neighbors.
        context: what the aligned region reaches beyond either end, as a share of the proposal's length.
        kernel_size: of the two middle convolutions on the map, odd. With more than 1 the cells that do not exist, which
            align the region [0, 0], are seen by those that do.
        end_inclusive: whether the aligned region, before the context, ends at the proposal's end unit (OpenTAD) or one
            unit before it, at its last snippet (the authors).
        anchor: what a snippet covers in the boundary targets, in units: (-.5, 1.5) (the authors; the default) or (0, 1)
            (OpenTAD).
        candidates_only: whether decoding keeps only proposals with candidate boundaries (local peaks, or above half the
            maximum).
        final_boundary: whether decoding gives proposals that end with the clip; the authors' program does not.

    Raises:
        SolaError: for a value out of range.
    """

    predicts_classes = False
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
        super().__init__()
        for name, value in {"channels": channels, "hidden": hidden}.items():
            if value < 1 or value % STEM_GROUPS:
                raise SolaError(f"{name}={value}: expected a multiple of {STEM_GROUPS}")
        at_least(1, projected=projected, map_channels=map_channels, neighbors=neighbors)
        odd(kernel_size=kernel_size)
        if max(bins, context_bins) > MOST_BINS:
            raise SolaError(f"bins={bins}, context_bins={context_bins}: expected at most {MOST_BINS}")
        if length < neighbors:
            raise SolaError(f"length={length}: expected at least {neighbors} snippets, one for each neighbor")
        if not anchor[0] < anchor[1]:
            raise SolaError(f"anchor={anchor}: expected a start before an end, in units")
        self.channels, self.proposals = channels, ProposalMap(length, max_duration)
        self.criterion = ProposalMapLoss(self.proposals)
        self.kernel_size, self.anchor = kernel_size, anchor
        self.candidates_only, self.final_boundary = candidates_only, final_boundary
        self.stem = nn.Sequential(nn.Conv1d(channels, hidden, 3, padding=1, groups=STEM_GROUPS), nn.ReLU())
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
        """Return the probabilities of the whole map, cells that do not exist included, and of the boundaries.

        Raises:
            SolaError: for clips of another length or width than the network was built for.
        """
        expected = self.channels, self.proposals.length
        if features.shape[1:] != expected:
            given = tuple(features.shape[1:])
            raise SolaError(f"features are {given} (channels, snippets) a clip; this G-TAD was built for {expected}")
        base = self.base_graph(self.stem(features))
        cells = self.reduction(self.alignment(self.proposal_graph(base)).relu_())
        if self.kernel_size == 1:
            # no cell sees another one: score each once, those that do not exist all together
            confidence = self.scoring(cells.transpose(1, 2)[:, :, None])[:, :, 0]
            confidence = confidence.index_select(2, self.cell).unflatten(2, self.proposals.shape)
        else:
            image = cells.index_select(1, self.cell).unflatten(1, self.proposals.shape)
            confidence = self.scoring(image.permute(0, 3, 1, 2))
        return MapPrediction(confidence, self.start(base).squeeze(1), self.end(base).squeeze(1))

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> MapTargets:
        """Return the targets for clips with these instances (start, end in units); labels and length are not used."""
        return self.proposals.targets(instances, self.anchor)

    def loss(self, output: MapPrediction, targets: MapTargets, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss of the map, of which `generator` draws the cells of the regression."""
        return self.criterion(output, targets.to(output.start.device), generator).total

    def decode(self, output: MapPrediction) -> list[Segments]:
        """Return each clip's proposals in units, cell by cell, with label 0, scored cls·reg."""
        return decode_map(
            self.proposals,
            output,
            boundary_scores=False,
            candidates_only=self.candidates_only,
            final_boundary=self.final_boundary,
        )


def aligned_regions(
    proposals: ProposalMap, *, context: float, end_inclusive: bool
) -> tuple[Float[np.ndarray, " regions"], Float[np.ndarray, " regions"]]:
    """Start and end, in snippets, of what each cell aligns: the cells that exist, row by row, and one region [0, 0].

    That last one stands for every cell that does not exist. It is not empty: alignment makes it 1 long.
    """
    start = proposals.start[proposals.valid].astype(np.float64)
    end = proposals.end[proposals.valid].astype(np.float64)
    margin = context * (end - start)
    last = end if end_inclusive else end - 1
    return np.append(start - margin, 0.0), np.append(last + margin, 0.0)


def _boundary_layers(hidden: int, neighbors: int) -> nn.Sequential:
    return nn.Sequential(GCNeXt(hidden, neighbors=neighbors), nn.Conv1d(hidden, 1, 1), nn.Sigmoid())
