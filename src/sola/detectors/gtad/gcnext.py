"""G-TAD's graph block: snippets exchange features along time and with their nearest neighbors in feature space."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError


class GCNeXt(nn.Module):
    """ReLU(temporal(x) + x + semantic(x)), of the same width and without normalization (G-TAD, section 3.2).

    The temporal path is three convolutions, k1 - k3 grouped - k1. The semantic path runs k1 - k1 grouped - k1 on each
    edge (neighbor, snippet) of the nearest-neighbor graph and takes the maximum over a snippet's edges. The paths are
    `groups * group_width` wide inside; a snippet is among its own `neighbors`. Raises SolaError for a value below 1.
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
        """Return features of the same shape; raises SolaError for a clip of fewer snippets than `neighbors`."""
        graph = nearest_neighbors(features, self.neighbors)
        # the first layer on the edge (neighbor, snippet) is the sum of one on the neighbors and one on the snippets,
        # each of which runs once a snippet and not once an edge
        of_neighbor = F.conv1d(features, self.edge.weight[:, : self.channels])
        of_snippet = F.conv1d(features, self.edge.weight[:, self.channels :], self.edge.bias)
        edges = gather_neighbors(of_neighbor, graph) + of_snippet[..., None]
        semantic = self.semantic(edges.flatten(2)).view(*features.shape, -1).max(dim=-1).values
        mixed: Tensor = self.temporal(features) + features + semantic
        return mixed.relu()


@torch.no_grad()
def nearest_neighbors(
    features: Float[Tensor, "batch channels time"], neighbors: int
) -> Int[Tensor, "batch time neighbors"]:
    """Return the nearest snippets of each snippet by Euclidean distance of features, nearest first.

    The distances are expanded, ‖x‖² - 2x·y + ‖y‖², in full precision and in the order of the published program, so that
    rounding breaks near-ties in the same way. Raises SolaError when there are fewer snippets than neighbors.
    """
    if features.shape[2] < neighbors:
        raise SolaError(f"a clip of {features.shape[2]} snippets: G-TAD's graph needs at least {neighbors}")
    with torch.autocast(features.device.type, enabled=False):
        x = features if features.dtype == torch.float64 else features.float()
        square = x.square().sum(dim=1, keepdim=True)
        product = -2 * torch.matmul(x.transpose(1, 2), x)
        closeness = -square - product - square.transpose(1, 2)
    return closeness.topk(neighbors, dim=-1).indices


def gather_neighbors(
    features: Float[Tensor, "batch channels time"], graph: Int[Tensor, "batch time neighbors"]
) -> Float[Tensor, "batch channels time neighbors"]:
    """Return the features of every snippet's neighbors."""
    index = graph.flatten(1)[:, None].expand(-1, features.shape[1], -1)
    return features.gather(2, index).view(*features.shape, -1)
