"""BMN's boundary-matching layer: every cell's sampled features, and the layer over channels and samples after it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.core.checks import at_least, not_negative
from sola.core.errors import SolaError
from sola.detectors.proposal_map.map import ProposalMap
from sola.detectors.proposal_map.sampling import Entries, LinearSampling


class BoundaryMatching(nn.Module):
    """Sampling of `samples` × `points` places per proposal, Conv3d(channels→hidden, (samples, 1, 1)) and ReLU.

    The definition builds channels × samples × rows × columns features and convolves them. Both steps are linear, so the
    convolution's weights are applied first, sample by sample, to the T snippets, and the cells are sampled from the
    output: equal to rounding. Only cells that exist are computed; `absent` is the value of all others.

    The sampled window extends `context` times the proposal's length beyond either end; before that it ends at the
    proposal's end unit with `end_inclusive` (JJBOY), else at its last snippet (mmaction2, OpenTAD). A sample is the
    mean of `points` places. Raises SolaError for a value out of range.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        proposals: ProposalMap,
        *,
        samples: int = 32,
        points: int = 3,
        context: float = 0.5,
        end_inclusive: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, hidden=hidden, samples=samples, points=points)
        not_negative(context=context)
        if samples * points < 2:
            raise SolaError("samples=1, points=1: expected at least two places a proposal, its two ends")
        self.conv = nn.Conv3d(channels, hidden, (samples, 1, 1))
        # the memory order [H, N, C] lets every sample's weights enter the product without a copy
        self.conv.weight.data = self.conv.weight.data.contiguous(memory_format=torch.channels_last_3d)
        cell, *entries = sampling_weights(
            proposals, samples=samples, points=points, context=context, end_inclusive=end_inclusive
        )
        existing = np.cumsum(proposals.valid) - 1
        self.sampling = LinearSampling(
            existing[cell], *entries, cells=int(proposals.valid.sum()), samples=samples, length=proposals.length
        )

    def forward(self, features: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch cells hidden"]:
        """Return the hidden features of the cells that exist, row by row of the map."""
        weight = self.conv.weight[..., 0, 0].permute(2, 1, 0)  # [N, C, H]
        projected = features.transpose(1, 2)[:, None] @ weight
        cells: Tensor = self.sampling(projected)
        return cells.add_(self._bias).relu_()

    def absent(self) -> Float[Tensor, " hidden"]:
        """The hidden features of a cell that does not exist, which samples nothing: ReLU(bias)."""
        return self._bias.relu()

    @property
    def _bias(self) -> Tensor:
        assert self.conv.bias is not None
        return self.conv.bias


def sampling_weights(
    proposals: ProposalMap, *, samples: int, points: int, context: float, end_inclusive: bool
) -> Entries:
    """Return cell, sample, snippet and weight of every entry of the boundary-matching mask.

    With xmin the first and xmax the last snippet of a proposal (its end unit with `end_inclusive`) and
    len = xmax - xmin + 1, the places are spread evenly over [xmin - context·len, xmax + context·len], both ends
    included. A place reads the snippets on either side with linear weights; those outside the clip count 0. A place in
    (-1, 0) reads snippet 0 in full: the published programs round it toward 0.
    """
    valid = proposals.valid.ravel()
    cell = np.flatnonzero(valid)
    first = proposals.start.ravel()[valid].astype(np.float64)
    last = proposals.end.ravel()[valid] - (0.0 if end_inclusive else 1.0)
    margin = (last - first + 1) * context
    low, high = first - margin, last + margin
    place = low[:, None] + ((high - low) / (samples * points - 1))[:, None] * np.arange(samples * points)
    inner = np.trunc(place)
    fraction = place - inner
    shape = place.shape
    sample = np.broadcast_to(np.arange(samples * points) // points, shape)
    owner = np.broadcast_to(cell[:, None], shape)
    parts = []
    for snippet, weight in ((inner, 1 - fraction), (np.ceil(place), fraction)):
        inside = (snippet >= 0) & (snippet < proposals.length)
        parts.append((owner[inside], sample[inside], snippet[inside].astype(np.int64), weight[inside] / points))
    return Entries(*map(np.concatenate, zip(*parts, strict=True)))
