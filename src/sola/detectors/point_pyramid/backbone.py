"""The backbone: convolutions, followed by blocks that halve the time from level to level of a pyramid."""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.detectors.point_pyramid.convolution import TemporalConvolution, recomputed

Level = tuple[Tensor, Tensor | None]
"""Features [batch, time, channels] and mask [batch, time] of a level of the pyramid."""

W = TypeVar("W")


class PyramidBackbone(nn.Module):
    """Compute the features of a clip at each level of the pyramid (ActionFormer, section 3.2).

    Args:
        channels: number of feature channels.
        width: number of channels of all levels.
        windows: window of each level, passed to `block`.
        block: function of window and stride that returns a block. A block takes features, mask and paths, and returns
            features and mask.
        convolutions: number of convolutions before the blocks.
        stem: number of blocks of the first level; each further level has one block.
        positions: length of the table of sinusoidal position embeddings (snippets), or None for none.

    Raises:
        SolaError: if a value is out of range.
    """

    position: Tensor | None

    def __init__(
        self,
        channels: int,
        width: int,
        windows: Sequence[W],
        block: Callable[[W, int], nn.Module],
        *,
        convolutions: int = 2,
        stem: int = 2,
        positions: int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, width=width, convolutions=convolutions)
        at_least(0, stem=stem)
        if not windows:
            raise SolaError("windows is empty: expected one entry per level of the pyramid")
        self.convolutions = nn.ModuleList(
            TemporalConvolution(width if index else channels, width, 3, bias=None) for index in range(convolutions)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(convolutions))
        table = None if positions is None else sinusoid_positions(positions, width) * width**-0.5
        self.register_buffer("position", table, persistent=False)
        self.stem = nn.ModuleList(block(windows[0], 1) for _ in range(stem))
        self.branch = nn.ModuleList(block(window, 2) for window in windows[1:])

    def forward(
        self,
        x: Float[Tensor, "batch time channels"],
        mask: Bool[Tensor, "batch time"] | None,
        paths: Float[Tensor, "branches batch"] | None = None,
    ) -> list[Level]:
        """Return the levels, finest first; `time` is a multiple of 2^(levels - 1).

        `paths` come from `draw_paths`; if it is None, each block draws its own.
        """
        block_paths = repeat(None) if paths is None else iter(torch.split(paths, 2))
        x = convolved(self.convolutions, self.norms, x, mask)
        x = self.norms[-1](x).relu_()
        if self.position is not None:
            position = self._positions(x.shape[1])
            x = x + (position if mask is None else position * mask[:, :, None])
        for block in self.stem:
            x, mask = block(x, mask, next(block_paths))
        levels: list[Level] = [(x, mask)]
        for block in self.branch:
            x, mask = block(x, mask, next(block_paths))
            levels.append((x, mask))
        return levels

    def _positions(self, time: int) -> Float[Tensor, "time width"]:
        """Return the first rows of the table, or the whole table stretched to a longer clip."""
        assert self.position is not None
        if time <= len(self.position):
            return self.position[:time]
        return F.interpolate(self.position.T[None], time, mode="linear")[0].T


def convolved(
    convolutions: nn.ModuleList,
    norms: nn.ModuleList,
    x: Float[Tensor, "batch time _"],
    mask: Bool[Tensor, "batch time"] | None,
    gaps: Int[Tensor, " gaps"] | None = None,
) -> Float[Tensor, "batch time _"]:
    """Apply convolutions with a normalization and ReLU in between; the input of each is zero at `gaps`."""

    def layers(x: Tensor, mask: Tensor | None, norm: nn.Module, convolution: nn.Module) -> Tensor:
        x = norm(x)
        if gaps is not None:
            x = x.index_fill_(1, gaps, 0)
        out: Tensor = convolution(x.relu_(), mask)
        return out

    x = convolutions[0](x, mask)
    for norm, convolution in zip(norms, convolutions[1:], strict=False):
        x = recomputed(layers, x, mask, norm, convolution)
    return x


def sinusoid_positions(length: int, width: int) -> Float[Tensor, "length width"]:
    """Return sin (even channels c) or cos (odd channels) of t / 10000^(2⌊c/2⌋/width) (Vaswani et al., 2017, 3.5)."""
    channel = torch.arange(width)
    rate = 10000.0 ** (-2 * channel.div(2, rounding_mode="floor").double() / width)
    angle = torch.arange(length)[:, None] * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()
