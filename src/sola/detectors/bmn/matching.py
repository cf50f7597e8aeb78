"""The boundary-matching layer of BMN: sample features for every cell, then convolve over channels and samples."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.core.checks import at_least, not_negative
from sola.core.errors import SolaError
from sola.detectors.proposal_map.map import ProposalMap
from sola.detectors.proposal_map.sampling import Entries, LinearSampling


class BoundaryMatching(nn.Module):
    """Sample `samples` × `points` positions per proposal, then apply Conv3d(channels→hidden, (samples, 1, 1)) and ReLU.

    By definition, the layer convolves channels × samples × rows × columns features. Both steps are linear, so this
    layer applies the convolution weights of each sample to the T snippets first, and samples the cells from the result.
    Only rounding differs. It computes only valid cells; `absent` returns the value of all other cells.

    The sampled window extends beyond each end of the proposal by `context` times its length. Without context, it ends
    at the end unit of the proposal with `end_inclusive` (JJBOY), otherwise at its last snippet (mmaction2, OpenTAD). A
    sample is the mean over `points` positions.

    Raises:
        SolaError: if a value is out of range.
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
            raise SolaError("samples=1, points=1: expected at least two positions per proposal, its start and end")
        self.conv = nn.Conv3d(channels, hidden, (samples, 1, 1))
        # with the memory order [H, N, C], the weights of each sample need no copy
        self.conv.weight.data = self.conv.weight.data.contiguous(memory_format=torch.channels_last_3d)
        cell, *entries = sampling_weights(
            proposals, samples=samples, points=points, context=context, end_inclusive=end_inclusive
        )
        existing = np.cumsum(proposals.valid) - 1
        self.sampling = LinearSampling(
            existing[cell], *entries, cells=int(proposals.valid.sum()), samples=samples, length=proposals.length
        )

    def forward(self, features: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch cells hidden"]:
        """Return the hidden features of the valid cells, row by row of the map."""
        weight = self.conv.weight[..., 0, 0].permute(2, 1, 0)  # [N, C, H]
        projected = features.transpose(1, 2)[:, None] @ weight
        cells: Tensor = self.sampling(projected)
        return cells.add_(self._bias).relu_()

    def absent(self) -> Float[Tensor, " hidden"]:
        """Return the hidden features of an invalid cell, which has no samples: ReLU(bias)."""
        return self._bias.relu()

    @property
    def _bias(self) -> Tensor:
        assert self.conv.bias is not None
        return self.conv.bias


def sampling_weights(
    proposals: ProposalMap, *, samples: int, points: int, context: float, end_inclusive: bool
) -> Entries:
    """Return the cell, sample, snippet and weight of every entry of the boundary-matching mask.

    Let xmin be the first and xmax the last snippet of a proposal (its end unit with `end_inclusive`), and
    len = xmax - xmin + 1. The positions are evenly spaced over [xmin - context·len, xmax + context·len], both ends
    included. Each position interpolates linearly between its two neighboring snippets; snippets outside the clip count
    as 0. A position in (-1, 0) has the full value of snippet 0, because the published programs round it toward 0.
    """
    valid = proposals.valid.ravel()
    cell = np.flatnonzero(valid)
    first = proposals.start.ravel()[valid].astype(np.float64)
    last = proposals.end.ravel()[valid] - (0.0 if end_inclusive else 1.0)
    margin = (last - first + 1) * context
    low, high = first - margin, last + margin
    position = low[:, None] + ((high - low) / (samples * points - 1))[:, None] * np.arange(samples * points)
    inner = np.trunc(position)
    fraction = position - inner
    shape = position.shape
    sample = np.broadcast_to(np.arange(samples * points) // points, shape)
    owner = np.broadcast_to(cell[:, None], shape)
    parts = []
    for snippet, weight in ((inner, 1 - fraction), (np.ceil(position), fraction)):
        inside = (snippet >= 0) & (snippet < proposals.length)
        parts.append((owner[inside], sample[inside], snippet[inside].astype(np.int64), weight[inside] / points))
    return Entries(*map(np.concatenate, zip(*parts, strict=True)))
