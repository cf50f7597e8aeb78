"""The transformer block of ActionFormer, with optional downsampling in time."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import fraction, odd
from sola.core.errors import SolaError
from sola.detectors.actionformer.attention import global_attention, local_attention
from sola.detectors.point_pyramid.convolution import (
    SCALE,
    TemporalConvolution,
    draw_paths,
    dropped,
    halved,
    recomputed,
)


class NeighborhoodProjection(nn.Module):
    """Projection to queries, keys or values: depthwise convolution of kernel size 3, LayerNorm and linear layer."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.convolution = TemporalConvolution(channels, channels, 3, stride=stride, groups=channels, bias=None)
        self.norm = nn.LayerNorm(channels)
        self.linear = TemporalConvolution(channels, channels, 1)

    def forward(
        self, x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch out"] | None
    ) -> Float[Tensor, "batch out channels"]:
        """Project the features; `mask` is the mask of the output."""
        projected: Tensor = self.linear(self.norm(self.convolution(x, mask)))
        return projected


class TransformerBlock(nn.Module):
    """A pre-norm transformer block: attention and a two-layer perceptron with residual connections (section 3.2).

    Queries, keys and values first go through a depthwise convolution of kernel size 3 and a LayerNorm. With `stride` 2,
    these convolutions halve the time, and the residual is the maximum over three snippets. `window` is the attention
    window (snippets, odd), or None for global attention. `dropout` follows the attention and both layers of the
    perceptron. `drop_path` is the probability that a clip skips a branch in training.

    Raises:
        SolaError: if a value is out of range.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        *,
        stride: int = 1,
        window: int | None = 19,
        dropout: float = 0.0,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if heads < 1 or channels < 1 or channels % heads:
            raise SolaError(f"heads={heads}: expected a divisor of the {channels} channels")
        odd(window=window)
        fraction("[0, 1)", dropout=dropout, drop_path=drop_path)
        self.heads, self.stride, self.window = heads, stride, window
        self.dropout, self.drop_path = dropout, drop_path
        self.attention_norm = nn.LayerNorm(channels)
        self.query = NeighborhoodProjection(channels, stride)
        self.key = NeighborhoodProjection(channels, stride)
        self.value = NeighborhoodProjection(channels, stride)
        self.projection = TemporalConvolution(channels, channels, 1)
        self.attention_scale = nn.Parameter(torch.full((channels,), SCALE))
        self.perceptron_norm = nn.LayerNorm(channels)
        self.expansion = TemporalConvolution(channels, 4 * channels, 1)
        self.contraction = TemporalConvolution(4 * channels, channels, 1)
        self.perceptron_scale = nn.Parameter(torch.full((channels,), SCALE))

    def forward(
        self,
        x: Float[Tensor, "batch time channels"],
        mask: Bool[Tensor, "batch time"] | None,
        paths: Float[Tensor, "2 batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch out channels"], Bool[Tensor, "batch out"] | None]:
        """Return the features, which are zero in the padding, and their mask; `time` is a multiple of the stride.

        In training, a clip skips a branch if its number in `paths` is below `drop_path`; None draws new numbers.
        """
        after = None if mask is None else mask[:, :: self.stride]
        if not self.training:
            paths = None
        elif paths is None:
            paths = draw_paths(1, len(x), x.device)
        first, second = (None, None) if paths is None else paths
        attended = self._attend(self.attention_norm(x), after)
        if self.stride > 1:
            x = halved(x)
        x = (x if after is None else x * after[:, :, None]) + dropped(attended, first, self.drop_path)
        hidden = self.expansion(self.perceptron_norm(x))
        # recompute the activation, whose output is four times as wide as x
        out = recomputed(self._contract, hidden, after, random=self.dropout > 0)
        return x + dropped(out, second, self.drop_path), after

    def _attend(
        self, x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch out"] | None
    ) -> Float[Tensor, "batch out channels"]:
        projected = (recomputed(project, x, mask) for project in (self.query, self.key, self.value))
        query, key, value = (x.view(*x.shape[:2], self.heads, -1) for x in projected)
        if self.window is None:
            out = global_attention(query, key, value, mask)
        else:
            out = local_attention(query, key, value, mask, self.window)
        out = self.projection(out.flatten(2), mask, self.attention_scale)
        return F.dropout(out, self.dropout, self.training)

    def _contract(
        self, hidden: Float[Tensor, "batch time hidden"], mask: Bool[Tensor, "batch time"] | None
    ) -> Float[Tensor, "batch time channels"]:
        hidden = F.dropout(F.gelu(hidden), self.dropout, self.training)
        return F.dropout(self.contraction(hidden, mask, self.perceptron_scale), self.dropout, self.training)
