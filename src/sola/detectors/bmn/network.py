"""BMN: Boundary-Matching Network (Lin et al., ICCV 2019): boundary probabilities and a map of proposal confidences."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.data.timing import Placement
from sola.detectors.bmn.matching import BoundaryMatching
from sola.detectors.proposal_map.decoding import decode_map
from sola.detectors.proposal_map.map import Layout, MapPrediction, MapTargets, ProposalMap
from sola.detectors.published import check_names, published_weights

LAYERS = {
    "x_1d_b.0": "base.0",
    "x_1d_b.2": "base.2",
    "x_1d_s.0": "start.0",
    "x_1d_s.2": "start.2",
    "x_1d_e.0": "end.0",
    "x_1d_e.2": "end.2",
    "x_1d_p.0": "reduce.0",
    "x_3d_p.0": "matching.conv",
    "x_2d_p.0": "confidence.0",
    "x_2d_p.2": "confidence.2",
    "x_2d_p.4": "confidence.4",
    "x_2d_p.6": "confidence.6",
}
"""Layers by their names in the programs of JJBOY and mmaction2, and ours."""


KINDS = ("weight", "bias")

GROUPS = 4
"""Of the convolutions along time."""


class BMN(nn.Module):
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

        Raises SolaError when the features are not as wide or long as the head.
        """
        expected = self.channels, self.proposals.length
        if features.shape[1:] != expected:
            given = tuple(features.shape[1:])
            raise SolaError(f"features are {given} (channels, snippets) a clip; this head was built for {expected}")
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

    def targets(self, instances: Sequence[Float[Tensor, "_ 2"]]) -> MapTargets:
        """What the prediction for clips with these instances (start, end in units) is trained toward."""
        return self.proposals.targets(instances, self.anchor)

    def decode(self, prediction: MapPrediction, placements: Sequence[Placement]) -> list[Segments]:
        """Return each clip's proposals in seconds, cell by cell, label 0, scored p_start·p_end·cls·reg.

        Raises SolaError when there is not one placement for each clip.
        """
        return decode_map(
            self.proposals,
            prediction,
            placements,
            boundary_scores=True,
            candidates_only=self.candidates_only,
            final_boundary=self.final_boundary,
        )

    @classmethod
    def from_reference(
        cls,
        path: Path | str,
        *,
        length: int = 100,
        by_duration: bool | None = None,
        points: int = 3,
        context: float = 0.5,
    ) -> "BMN":
        """Load a checkpoint of JJBOY's program or of mmaction2's, with every choice of that program.

        Their layers have the same names, and widths come from the weights. The sampling mask that both keep beside them
        tells T and whose program it is, and is compared with ours; it is not loaded. In a file without it, `length`
        and `by_duration` tell.

        Args:
            path: the checkpoint; read with weights_only.
            length: T, where the file has no mask.
            by_duration: whether the map is mmaction2's [duration, start] or JJBOY's [start, end]; None is as the file's
                masks say, and JJBOY's where there is none.
            points: places in a bin.
            context: reach of the sampled window beyond either end, as a share of the proposal's length.

        Raises:
            SolaError: when the file is no such checkpoint; names that are missing or left over are told.
        """
        weights = published_weights(path)
        existing = weights.pop("bm_mask", None)  # mmaction2's mask of the cells that exist
        mask = weights.pop("sample_mask", None)
        layers = [f"{layer}.{kind}" for layer in LAYERS for kind in KINDS]
        check_names(path, weights, layers, "BMN as JJBOY or mmaction2 writes it")
        try:
            samples = weights["x_3d_p.0.weight"].shape[2]
            if mask is not None:
                length = len(mask)
                mask = mask.view(length, samples, length, length)
            if by_duration is None:
                # the lower left corner is the longest proposal by duration, and no proposal by start and end
                by_duration = existing is not None if mask is None else bool(length == 1 or mask[:, :, -1, 0].any())
            with torch.random.fork_rng(devices=[]):  # the weights drawn here are thrown away
                head = cls(
                    weights["x_1d_b.0.weight"].shape[1] * GROUPS,
                    length,
                    hidden=len(weights["x_1d_b.0.weight"]),
                    proposal_channels=len(weights["x_1d_p.0.weight"]),
                    matching_channels=len(weights["x_3d_p.0.weight"]),
                    map_channels=len(weights["x_2d_p.0.weight"]),
                    samples=samples,
                    points=points,
                    context=context,
                    layout="duration_start" if by_duration else "start_end",
                    end_inclusive=not by_duration,
                    anchor=(-0.5, 1.5) if by_duration else (-0.5, 0.5),
                    candidates_only=by_duration,
                    final_boundary=False,
                )
            names = {f"{ours}.{kind}": f"{theirs}.{kind}" for theirs, ours in LAYERS.items() for kind in KINDS}
            head.load_state_dict({ours: weights[theirs] for ours, theirs in names.items()})
        except (IndexError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise SolaError(f"{path}: weights whose shapes are not BMN's ({reason})") from None
        if mask is not None:
            sampled = head.matching.sampling.dense()  # [cell, sample, snippet]
            expected = sampled.new_zeros(length * length, samples, length).index_copy(0, head.existing, sampled)
            if not torch.allclose(mask.flatten(2).permute(2, 1, 0), expected, atol=1e-5):
                raise SolaError(
                    f"{path}: its sample_mask is not that of {points} points and context {context}; pass the values it "
                    "was made with"
                )
        return head.eval()


def _boundary_layers(hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(hidden, hidden, 3, padding=1, groups=GROUPS), nn.ReLU(), nn.Conv1d(hidden, 1, 1), nn.Sigmoid()
    )
