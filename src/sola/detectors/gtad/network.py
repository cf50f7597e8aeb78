"""G-TAD: sub-graph localization (Xu et al., CVPR 2020), equal to the authors' program and without its cost."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.core.checks import at_least, odd
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.data.timing import Placement
from sola.detectors.gtad.alignment import SubgraphAlignment
from sola.detectors.gtad.gcnext import GCNeXt
from sola.detectors.proposal_map.decoding import decode_map
from sola.detectors.proposal_map.map import MapPrediction, MapTargets, ProposalMap
from sola.detectors.published import check_names, published_weights

MOST_BINS = 1024
"""Of an alignment; published are 32 and 4."""
STEM_GROUPS = 4
"""Of the first convolution along time."""


class GTAD(nn.Module):
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
        self.kernel_size, self.anchor = kernel_size, anchor
        self.candidates_only, self.final_boundary = candidates_only, final_boundary
        self.stem = nn.Sequential(nn.Conv1d(channels, hidden, 3, padding=1, groups=STEM_GROUPS), nn.ReLU())
        self.base_graph = GCNeXt(hidden, neighbors=neighbors)
        self.start = _boundary_head(hidden, neighbors)
        self.end = _boundary_head(hidden, neighbors)
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
            SolaError: for clips of another length or width than the head's.
        """
        expected = self.channels, self.proposals.length
        if features.shape[1:] != expected:
            given = tuple(features.shape[1:])
            raise SolaError(f"features are {given} (channels, snippets) a clip; this head was built for {expected}")
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

    def targets(self, instances: Sequence[Float[Tensor, "_ 2"]]) -> MapTargets:
        """What the prediction for clips with these instances (start, end in units) is trained toward."""
        return self.proposals.targets(instances, self.anchor)

    def decode(self, prediction: MapPrediction, placements: Sequence[Placement]) -> list[Segments]:
        """Return the proposals of each clip in seconds, scored cls·reg, label 0, in the order of the cells.

        Raises:
            SolaError: when there is not one placement for each clip.
        """
        return decode_map(
            self.proposals,
            prediction,
            placements,
            boundary_scores=False,
            candidates_only=self.candidates_only,
            final_boundary=self.final_boundary,
        )

    @classmethod
    def from_reference(
        cls,
        path: Path | str,
        *,
        length: int = 100,
        max_duration: int | None = None,
        bins: int = 32,
        context_bins: int = 4,
        candidates_only: bool = True,
    ) -> "GTAD":
        """Load a checkpoint of the authors' program, to give and decode what it does; in evaluation mode.

        Widths and kernel size are read off the weights. What the file does not tell defaults to the authors' branch
        `anet` (and `hacs`); for their `master`, which is THUMOS14, see the class.

        Raises:
            SolaError: when the file is no such checkpoint.
        """
        published = published_weights(path)
        names = _published_names()
        check_names(path, published, [*names.values(), *_ALIGNMENT], "G-TAD's published program")
        stem, first, second, third = (
            published[name]
            for name in ("backbone1.0.weight", _ALIGNMENT[0], "localization.2.weight", "localization.4.weight")
        )
        hidden = stem.shape[0]
        if first.shape[1:] != (hidden * (bins + context_bins), 1, 1):
            raise SolaError(
                f"{path}: {_ALIGNMENT[0]} is {list(first.shape)}, which is not {bins} + {context_bins} bins of "
                f"{hidden} channels; give the bins and context_bins that it was trained with"
            )
        head = cls(
            stem.shape[1] * STEM_GROUPS,
            length,
            max_duration=max_duration,
            hidden=hidden,
            projected=first.shape[0],
            map_channels=second.shape[0],
            bins=bins,
            context_bins=context_bins,
            kernel_size=third.shape[-1],
            candidates_only=candidates_only,
            final_boundary=False,
        )
        by_bin = first.reshape(first.shape[0], hidden, bins + context_bins).permute(2, 0, 1)
        weights = {
            "alignment.weight": by_bin[:bins],
            "alignment.context_weight": by_bin[bins:],
            "alignment.bias": published[_ALIGNMENT[1]],
            **{ours: published[theirs] for ours, theirs in names.items()},
        }
        shapes = {name: tensor.shape for name, tensor in head.state_dict().items()}
        for name, tensor in weights.items():
            # theirs has 1×1 kernels where ours has linear layers and 1-wide ones
            if tensor.squeeze().shape != torch.Size(size for size in shapes[name] if size != 1):
                raise SolaError(
                    f"{path}: {names.get(name, _ALIGNMENT[1])} is {list(tensor.shape)}, which does not fit the other "
                    f"weights; expected {list(shapes[name])}"
                )
        head.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in weights.items()})
        return head.eval()


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


def _boundary_head(hidden: int, neighbors: int) -> nn.Sequential:
    return nn.Sequential(GCNeXt(hidden, neighbors=neighbors), nn.Conv1d(hidden, 1, 1), nn.Sigmoid())


_ALIGNMENT = ("localization.0.weight", "localization.0.bias")

_LAYERS = {
    "stem.0": "backbone1.0",
    "start.1": "regu_s.1",
    "end.1": "regu_e.1",
    "reduction.0": "localization.2",
    "scoring.0": "localization.4",
    "scoring.2": "localization.6",
    "scoring.4": "localization.8",
}
_BLOCKS = {"base_graph": "backbone1.2", "start.0": "regu_s.0", "end.0": "regu_e.0", "proposal_graph": "backbone2.0"}
_IN_BLOCK = {
    "temporal.0": "tconvs.0",
    "temporal.2": "tconvs.2",
    "temporal.4": "tconvs.4",
    "edge": "sconvs.0",
    "semantic.1": "sconvs.2",
    "semantic.3": "sconvs.4",
}


def _published_names() -> dict[str, str]:
    """Our name of each weight, and the published one, but for the layer that `SubgraphAlignment` holds."""
    layers = dict(_LAYERS)
    for block, theirs in _BLOCKS.items():
        layers |= {f"{block}.{layer}": f"{theirs}.{name}" for layer, name in _IN_BLOCK.items()}
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in layers.items() for kind in ("weight", "bias")}
