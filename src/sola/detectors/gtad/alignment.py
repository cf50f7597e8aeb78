"""One-dimensional region-of-interest alignment as a fixed sparse operator (G-TAD, section 3.4).

The alignment is linear in the features and its weights depend only on the regions. So the weights are computed once and
applied to every clip.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.detectors.gtad.gcnext import gather_neighbors, nearest_neighbors
from sola.detectors.proposal_map.sampling import Entries, LinearSampling


def alignment_weights(
    start: Float[np.ndarray, " regions"], end: Float[np.ndarray, " regions"], bins: int, length: int
) -> Entries:
    """Return the weights that align regions [start, end] (snippets; snippet t is at t) of a clip of `length` snippets.

    A region has a length of at least 1 and is divided into equal bins. The value of a bin is the mean over
    ceil(region length / bins) points at the centers of as many equal parts of the bin. The value at a point is
    interpolated linearly between two snippets. It is 0 before -1 and after `length`, the value of the first snippet in
    [-1, 0], and that of the last snippet in [length - 1, length]. This is the rule of the CUDA kernel published with
    G-TAD; the gradient is the transpose.

    Raises:
        SolaError: if `bins` or `length` is below 1.
    """
    at_least(1, bins=bins, length=length)
    extent = np.maximum(end - start, 1.0)
    points = np.ceil(extent / bins).astype(np.int64)
    cell = np.repeat(np.arange(len(start) * bins), np.repeat(points, bins))
    region, bin_index = np.divmod(cell, bins)
    first_point = np.cumsum(np.repeat(points, bins)) - np.repeat(points, bins)
    point = np.arange(len(cell)) - first_point[cell]
    size, count = (extent / bins)[region], points[region]
    # same order of operations as the kernel, because rounding decides which points are beyond the ends
    time = start[region] + bin_index * size + (point + 0.5) * size / count

    inside = (time >= -1) & (time <= length)
    cell, time, count = cell[inside], np.clip(time[inside], 0.0, length - 1), count[inside]
    low = time.astype(np.int64)
    share = time - low
    region, bin_index = np.divmod(np.tile(cell, 2), bins)
    snippet = np.concatenate([low, np.minimum(low + 1, length - 1)])
    return Entries(region, bin_index, snippet, np.concatenate([(1 - share) / count, share / count]))


class SubgraphAlignment(nn.Module):
    """SGAlign and the linear layer after it: align the features of each region and project them (sections 3.4 and 3.5).

    By definition, the features are aligned in `bins` bins, the mean of the nearest neighbors of each snippet in
    `context_bins` bins (0 for none), and the bins × channels values of each region are multiplied with a matrix. This
    layer applies the matrix to every snippet first and samples the result. The sums are the same, without regions ×
    bins × channels values in memory. `start` and `end` of the regions are in snippets.

    Raises:
        SolaError: if a value is out of range.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        start: Float[np.ndarray, " regions"],
        end: Float[np.ndarray, " regions"],
        *,
        length: int,
        bins: int = 32,
        context_bins: int = 4,
        neighbors: int = 3,
    ) -> None:
        super().__init__()
        self.neighbors, self.context_bins = neighbors, context_bins
        parts = [alignment_weights(start, end, bins, length)]
        if context_bins:
            parts.append(alignment_weights(start, end, context_bins, length))
        # PyTorch's initialization of a linear layer with bins × channels inputs
        bound = (channels * (bins + context_bins)) ** -0.5
        self.weight = nn.Parameter(torch.empty(bins, hidden, channels).uniform_(-bound, bound))
        self.context_weight = nn.Parameter(torch.empty(context_bins, hidden, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        # projected rows have the order (snippet, bin) of a linear layer, followed by the rows of the context
        rows = [part.time * size + part.sample for part, size in zip(parts, (bins, context_bins), strict=False)]
        if context_bins:
            rows[1] = rows[1] + length * bins
        row = np.concatenate(rows)
        self.sampling = LinearSampling(
            np.concatenate([part.cell for part in parts]),
            np.zeros_like(row),
            row,
            np.concatenate([part.weight for part in parts]),
            cells=len(start),
            samples=1,
            length=length * (bins + context_bins),
        )

    def forward(self, features: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch regions hidden"]:
        """Project and align the features, and add the bias; there is no activation."""
        rows = _project(features, self.weight)
        if self.context_bins:
            graph = nearest_neighbors(features, self.neighbors)
            context = gather_neighbors(features, graph).mean(dim=-1)
            rows = torch.cat([rows, _project(context, self.context_weight)], dim=1)
        sampled: Tensor = self.sampling(rows[:, None])
        return sampled.add_(self.bias)


def _project(
    features: Float[Tensor, "batch channels time"], weight: Float[Tensor, "bins hidden channels"]
) -> Float[Tensor, "batch time*bins hidden"]:
    projected = F.linear(features.transpose(1, 2), weight.flatten(0, 1))
    return projected.reshape(len(features), -1, weight.shape[1])
