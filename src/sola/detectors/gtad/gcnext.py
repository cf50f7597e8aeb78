"""The graph block of G-TAD: convolutions along time and over the nearest neighbors in feature space."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError


class GCNeXt(nn.Module):
    """Return ReLU(temporal(x) + x + semantic(x)) without normalization (G-TAD, section 3.2).

    The temporal path has three convolutions with kernel sizes 1, 3 (grouped) and 1. The semantic path applies three
    convolutions of kernel size 1 (the second is grouped) to each edge (neighbor, snippet) of the nearest-neighbor graph
    and takes the maximum over the edges of a snippet. Both paths have `groups * group_width` hidden channels. A snippet
    is one of its own `neighbors`.

    Raises:
        SolaError: if a value is below 1.
    """

    def __init__(self, channels: int, *, neighbors: int = 3, groups: int = 32, group_width: int = 4) -> None:
        super().__init__()
        at_least(1, channels=channels, neighbors=neighbors, groups=groups, group_width=group_width)
        width = groups * group_width
        self.channels, self.neighbors = channels, neighbors
        self.temporal = nn.Sequential(
            nn.Conv1d(channels, width, 1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.Conv1d(width, channels, 1),
        )
        self.edge = nn.Conv1d(2 * channels, width, 1)
        self.semantic = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(width, width, 1, groups=groups),
            nn.ReLU(),
            nn.Conv1d(width, channels, 1),
        )

    def forward(self, features: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch channels time"]:
        """Return features of the same shape. Raises SolaError if the clips have fewer snippets than `neighbors`."""
        graph = nearest_neighbors(features, self.neighbors)
        # the first layer on an edge is the sum of a layer on its neighbor and a layer on its snippet; each runs once
        # per snippet instead of once per edge
        neighbor_part = F.conv1d(features, self.edge.weight[:, : self.channels])
        snippet_part = F.conv1d(features, self.edge.weight[:, self.channels :], self.edge.bias)
        edges = gather_neighbors(neighbor_part, graph) + snippet_part[..., None]
        semantic = self.semantic(edges.flatten(2)).view(*features.shape, -1).max(dim=-1).values
        mixed: Tensor = self.temporal(features) + features + semantic
        return mixed.relu()


@torch.no_grad()
def nearest_neighbors(
    features: Float[Tensor, "batch channels time"], neighbors: int
) -> Int[Tensor, "batch time neighbors"]:
    """Return the nearest snippets of each snippet by Euclidean distance of features, nearest first.

    The distances are computed as ‖x‖² - 2x·y + ‖y‖² in float32 or float64, in the same order of operations as the
    published program, so that rounding resolves near-ties in the same way.

    Raises:
        SolaError: if there are fewer snippets than neighbors.
    """
    if features.shape[2] < neighbors:
        raise SolaError(f"clip of {features.shape[2]} snippets: the graph of G-TAD needs at least {neighbors}")
    with torch.autocast(features.device.type, enabled=False):
        x = features if features.dtype == torch.float64 else features.float()
        square = x.square().sum(dim=1, keepdim=True)
        product = -2 * torch.matmul(x.transpose(1, 2), x)
        closeness = -square - product - square.transpose(1, 2)
    return closeness.topk(neighbors, dim=-1).indices


def gather_neighbors(
    features: Float[Tensor, "batch channels time"], graph: Int[Tensor, "batch time neighbors"]
) -> Float[Tensor, "batch channels time neighbors"]:
    """Return the features of the neighbors of each snippet."""
    index = graph.flatten(1)[:, None].expand(-1, features.shape[1], -1)
    return features.gather(2, index).view(*features.shape, -1)
