"""BMN, the Boundary-Matching Network (Lin et al., ICCV 2019): boundary probabilities and a proposal confidence map."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.detectors.bmn.matching import BoundaryMatching
from sola.detectors.proposal_map.detector import GROUPS, ProposalMapDetector
from sola.detectors.proposal_map.map import Layout, MapPrediction, ProposalMap


class BMN(ProposalMapDetector):
    """Predict temporal action proposals, scored by p_start·p_end·cls·reg, from the snippet features of a clip.

    Weights have PyTorch's default initialization, as in the code of JJBOY and mmaction2. See `ProposalMap` for
    `length`, `max_duration` and `layout`, `BoundaryMatching` for `samples`, `points`, `context` and `end_inclusive`,
    and `ProposalMapDetector` for the other parameters. Published variants:

    - `proposal_channels`: 128 (paper, Paddle, OpenTAD) or 256 (JJBOY, mmaction2);
    - `layout`: "duration_start" (Paddle, mmaction2, OpenTAD) or "start_end" (JJBOY);
    - `anchor`: (-.5, 1.5) (mmaction2), (-.5, .5) (JJBOY) or (0, 1) (OpenTAD);
    - `candidates_only`: True (mmaction2, OpenTAD) or False (JJBOY).

    Raises:
        SolaError: if a value is out of range.
    """

    boundary_scores = True
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
        super().__init__(
            channels,
            hidden,
            ProposalMap(length, max_duration, layout),
            anchor=anchor,
            candidates_only=candidates_only,
            final_boundary=final_boundary,
        )
        at_least(1, proposal_channels=proposal_channels, map_channels=map_channels)
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
        """Return the boundary probabilities and the confidence map.

        Raises:
            SolaError: if the clips have another length or number of channels than the network.
        """
        self.check(features)
        base = self.base(features)
        confidence = self.confidence[2:](self._map_of(self.matching(self.reduce(base))))
        return MapPrediction(confidence, self.start(base).squeeze(1), self.end(base).squeeze(1))

    def _map_of(self, cells: Float[Tensor, "batch cells hidden"]) -> Float[Tensor, "batch channels rows columns"]:
        """Return the whole map after its first layer, a 1 × 1 convolution that runs only once for all invalid cells.

        The following 3 × 3 convolutions read invalid cells next to valid cells, so their values must be correct.
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


def _boundary_layers(hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(hidden, hidden, 3, padding=1, groups=GROUPS), nn.ReLU(), nn.Conv1d(hidden, 1, 1), nn.Sigmoid()
    )
