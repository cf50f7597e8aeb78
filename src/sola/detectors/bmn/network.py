"""BMN: Boundary-Matching Network (Lin et al., ICCV 2019): boundary probabilities and a map of proposal confidences."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.base import Detector
from sola.detectors.bmn.matching import BoundaryMatching
from sola.detectors.proposal_map.decoding import decode_map
from sola.detectors.proposal_map.loss import ProposalMapLoss
from sola.detectors.proposal_map.map import Layout, MapPrediction, MapTargets, ProposalMap

GROUPS = 4
"""Of the convolutions along time."""


class BMN(Detector):
    """Temporal action proposals from a clip's snippet features.

    The layers are the paper's. Weights start as PyTorch's convolutions do, as in the programs of JJBOY and mmaction2;
    OpenTAD starts from Xavier-uniform weights and zero biases.

    Args:
        channels: C, width of the features; a multiple of 4, the groups of the first convolution.
        length: T, snippets of a clip.
        hidden: width of the base and of the boundary layers, a multiple of 4.
        proposal_channels: width of what proposals are sampled from: 128 (paper, Paddle, OpenTAD; the default) or 256
            (JJBOY, mmaction2).
        matching_channels: width of a sampled proposal.
        map_channels: width of the convolutions over the map.
        samples: bins of a proposal.
        points: places in a bin.
        context: reach of the sampled window beyond either end, as a share of the proposal's length.
        max_duration: units that the longest proposal lasts; None is T.
        layout: of the map: "duration_start" (Paddle, mmaction2, OpenTAD; the default) or "start_end" (JJBOY).
        end_inclusive: whether the sampled window is one unit longer (JJBOY); see `BoundaryMatching`.
        anchor: what a snippet covers in the boundary targets, in units: (-.5, 1.5) (mmaction2; the default),
            (-.5, .5) (JJBOY) or (0, 1) (OpenTAD).
        candidates_only: whether `decode` gives proposals between candidate boundaries only (mmaction2, OpenTAD)
            or all (JJBOY; the default).
        final_boundary: whether `decode` gives proposals that end with the clip; the programs of JJBOY and mmaction2
            never do.

    Raises:
        SolaError: for a value out of range.
    """

    predicts_classes = False
    existing: Tensor

    def __init__(
        self,
        channels: int,
        length: int = 100,
        *,
        hidden: int = 256,
        proposal_channels: int = 128,
        matching_channels: int = 512,
        map_channels: int = 128,
        samples: int = 32,
        points: int = 3,
        context: float = 0.5,
        max_duration: int | None = None,
        layout: Layout = "duration_start",
        end_inclusive: bool = False,
        anchor: tuple[float, float] = (-0.5, 1.5),
        candidates_only: bool = False,
        final_boundary: bool = True,
    ) -> None:
        super().__init__()
        for name, value in {"channels": channels, "hidden": hidden}.items():
            if value < 1 or value % GROUPS:
                raise SolaError(f"{name}={value}: expected a multiple of {GROUPS}, the groups of BMN's convolutions")
        at_least(1, proposal_channels=proposal_channels, map_channels=map_channels)
        if not anchor[0] < anchor[1]:
            raise SolaError(f"anchor={anchor}: expected a start before an end, in units")
        self.channels, self.proposals = channels, ProposalMap(length, max_duration, layout)
        self.criterion = ProposalMapLoss(self.proposals)
        self.anchor, self.candidates_only, self.final_boundary = anchor, candidates_only, final_boundary
        self.base = nn.Sequential(
            nn.Conv1d(channels, hidden, 3, padding=1, groups=GROUPS),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 3, padding=1, groups=GROUPS),
            nn.ReLU(),
        )
        self.start = _boundary_layers(hidden)
        self.end = _boundary_layers(hidden)
        self.reduce = nn.Sequential(nn.Conv1d(hidden, proposal_channels, 3, padding=1), nn.ReLU())
        self.matching = BoundaryMatching(
            proposal_channels,
            matching_channels,
            self.proposals,
            samples=samples,
            points=points,
            context=context,
            end_inclusive=end_inclusive,
        )
        self.confidence = nn.Sequential(
            nn.Conv2d(matching_channels, map_channels, 1),
            nn.ReLU(),
            nn.Conv2d(map_channels, map_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(map_channels, map_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(map_channels, 2, 1),
            nn.Sigmoid(),
        )
        existing = torch.from_numpy(self.proposals.valid).flatten().nonzero().squeeze(1)
        self.register_buffer("existing", existing, persistent=False)

    def forward(self, features: Float[Tensor, "batch channels time"]) -> MapPrediction:
        """Return the boundaries' probabilities and the map of confidences.

        Raises SolaError when the features are not as wide or long as the network was built for.
        """
        expected = self.channels, self.proposals.length
        if features.shape[1:] != expected:
            given = tuple(features.shape[1:])
            raise SolaError(f"features are {given} (channels, snippets) a clip; this BMN was built for {expected}")
        base = self.base(features)
        cells = self.matching(self.reduce(base))
        return MapPrediction(
            confidence=self.confidence[2:](self._map_of(cells)),
            start=self.start(base).squeeze(1),
            end=self.end(base).squeeze(1),
        )

    def _map_of(self, cells: Float[Tensor, "batch cells hidden"]) -> Float[Tensor, "batch channels rows columns"]:
        """The whole map after the first layer over it, which is 1 × 1: on cells that exist, and once for the others.

        The 3 × 3 layers behind it look from existing cells into the others, so these must hold their true value.
        """
        layer = self.confidence[0]
        assert isinstance(layer, nn.Conv2d)
        weight, bias = layer.weight[:, :, 0, 0], layer.bias
        absent = F.linear(self.matching.absent(), weight, bias).relu()
        filled = F.linear(cells, weight, bias).relu()
        rows, columns = self.proposals.shape
        whole = absent.to(filled.dtype).expand(len(cells), rows * columns, -1)
        whole = whole.index_copy(1, self.existing, filled)
        return whole.view(len(cells), rows, columns, -1).permute(0, 3, 1, 2)

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> MapTargets:
        """Return the targets for clips with these instances (start, end in units); labels and length are not used."""
        return self.proposals.targets(instances, self.anchor)

    def loss(self, output: MapPrediction, targets: MapTargets, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss of the map, of which `generator` draws the cells of the regression."""
        return self.criterion(output, targets.to(output.start.device), generator).total

    def decode(self, output: MapPrediction) -> list[Segments]:
        """Return each clip's proposals in units, cell by cell, with label 0, scored p_start·p_end·cls·reg."""
        return decode_map(
            self.proposals,
            output,
            boundary_scores=True,
            candidates_only=self.candidates_only,
            final_boundary=self.final_boundary,
        )


def _boundary_layers(hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(hidden, hidden, 3, padding=1, groups=GROUPS), nn.ReLU(), nn.Conv1d(hidden, 1, 1), nn.Sigmoid()
    )
