"""Layers of ActionFormer: masked convolutions along time, and the transformer block that may halve the time.

Features are [batch, time, channels] inside the network. A mask is True at valid snippets; None is all True. As in the
published program, the output of a convolution is zero in the padding, and the normalization after it adds its bias
there. So the last snippets of a clip depend on whether padding follows them, but not on its length.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sola.core.checks import fraction, odd
from sola.core.errors import SolaError
from sola.detectors.actionformer.attention import global_attention, local_attention

SCALE = 1e-4
"""Initial scale of the residual branches (LayerScale; Touvron et al., ICCV 2021)."""


class TemporalConvolution(nn.Conv1d):
    """A convolution of odd kernel size along time, padded with zeros; output i is at snippet stride·i.

    `bias` is its initial value, None for no bias. With kernel size 1 it is a linear layer, faster than PyTorch's on a
    CPU.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: float | None = 0.0,
    ) -> None:
        super().__init__(
            channels, filters, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=bias is not None
        )
        if self.bias is not None and bias is not None:
            nn.init.constant_(self.bias, bias)

    def forward(
        self,
        x: Float[Tensor, "batch time channels"],
        mask: Bool[Tensor, "batch out"] | None = None,
        scale: Float[Tensor, " filters"] | None = None,
    ) -> Float[Tensor, "batch out filters"]:
        """Convolve, multiply each filter with its scale, and set the padding to zero; `mask` is that of the output."""
        weight, bias = self.weight, self.bias
        if scale is not None:
            # scaling the weights avoids keeping the unscaled output for the gradient
            weight = weight * scale[:, None, None]
            bias = bias if bias is None else bias * scale
        # channels stay last in memory: as an image of one row
        out = F.conv2d(
            x.transpose(1, 2).unsqueeze(2),
            weight.unsqueeze(2),
            bias,
            stride=(1, self.stride[0]),
            padding=(0, self.kernel_size[0] // 2),
            groups=self.groups,
        )
        out = out.squeeze(2).transpose(1, 2)
        return out if mask is None else out.mul_(mask[:, :, None])


def recomputed(layers: Callable[..., Tensor], *inputs: Any, random: bool = False) -> Tensor:
    """Call layers and recompute all but their inputs for the gradient; `random` if they draw random numbers.

    The last layer's output is not recomputed.
    """
    if not torch.is_grad_enabled():
        return layers(*inputs)
    out: Tensor = checkpoint(layers, *inputs, use_reentrant=False, preserve_rng_state=random)
    return out


def draw_paths(blocks: int, clips: int, device: torch.device) -> Float[Tensor, "branches clips"]:
    """Draw numbers in [0, 1) for each of two branches of each block, and each clip."""
    return torch.stack([torch.rand(clips, device=device) for _ in range(2 * blocks)])


class NeighborhoodProjection(nn.Module):
    """Queries, keys or values: a depthwise convolution of three snippets, a normalization and a linear layer."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.convolution = TemporalConvolution(channels, channels, 3, stride=stride, groups=channels, bias=None)
        self.norm = nn.LayerNorm(channels)
        self.linear = TemporalConvolution(channels, channels, 1)

    def forward(
        self, x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch out"] | None
    ) -> Float[Tensor, "batch out channels"]:
        """Project; `mask` is that of the output."""
        projected: Tensor = self.linear(self.norm(self.convolution(x, mask)))
        return projected


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each on normalized features and added to its input (section 3.2).

    Queries, keys and values pass a depthwise convolution of three snippets and a normalization first. With a `stride`
    of 2 these convolutions halve the time, and the attention is added to a maximum over three snippets. `window` is an
    odd number of snippets, None for all. `dropout` follows the attention and both layers of the perceptron;
    `drop_path` is the probability that a clip skips a branch in training. Raises SolaError for a value out of range.
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
            raise SolaError(f"heads={heads}: expected a number that divides the {channels} channels")
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
        """Return the features, zero in the padding, and their mask; `time` is a multiple of the stride.

        In training, a clip skips a branch where its number in `paths`, drawn here if None, is below `drop_path`.
        """
        after = None if mask is None else mask[:, :: self.stride]
        if paths is None and self.training:
            paths = draw_paths(1, len(x), x.device)
        attended = self._attend(self.attention_norm(x), after)
        if self.stride > 1:
            x = (
                F.max_pool2d(x.transpose(1, 2).unsqueeze(2), (1, 3), (1, self.stride), (0, 1))
                .squeeze(2)
                .transpose(1, 2)
            )
        x = (x if after is None else x * after[:, :, None]) + self._dropped(attended, paths, 0)
        hidden = self.expansion(self.perceptron_norm(x))
        # the activation's output is four times as wide as x
        out = recomputed(self._contract, hidden, after, random=self.dropout > 0)
        return x + self._dropped(out, paths, 1), after

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

    def _dropped(
        self, branch: Float[Tensor, "batch time channels"], paths: Float[Tensor, "2 batch"] | None, which: int
    ) -> Float[Tensor, "batch time channels"]:
        """Drop a clip's branch at random in training, and scale the others."""
        if paths is None or not self.training or not self.drop_path:
            return branch
        kept = (paths[which] >= self.drop_path)[:, None, None]
        return branch * (kept.to(branch.dtype) / (1 - self.drop_path))
