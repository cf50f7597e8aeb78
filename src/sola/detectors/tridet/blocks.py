"""The scalable-granularity perception (SGP) layer of TriDet (section 3.2)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import fraction, odd, positive
from sola.core.errors import SolaError
from sola.detectors.point_pyramid.convolution import (
    SCALE,
    TemporalConvolution,
    convolved_once,
    draw_paths,
    dropped,
    halved,
    recomputed,
)

GROUPS = 16
"""Number of channel groups of the normalization before the perceptron."""


class PerceptionBlock(nn.Module):
    """An instant branch and a window branch, followed by a perceptron, each with a residual connection.

    For normalized features n, the branches add fc(n)·φ + (conv_w(n) + conv_kw(n))·ψ(n) + n. All convolutions are
    depthwise. φ is a ReLU of the mean over time. ψ and conv_w have a kernel of `window` snippets, and conv_kw has a
    kernel of (window + 1)·`scale` snippets, rounded to an odd number. As in the authors' code, the padding has an
    effect: it is not zero after the first block, and the mean and the group normalization include it.

    Args:
        channels: number of channels, a multiple of 16.
        hidden: number of hidden channels of the perceptron.
        stride: 1, or 2 for max pooling (kernel size 3, stride 2) before the block.
        window: kernel size of the narrow convolutions (snippets, odd).
        scale: size of the wide convolution relative to window + 1.
        deviation: standard deviation of the initial weights of the depthwise convolutions.
        drop_path: probability that a clip skips a branch in training; with 0, the branches have no scales.

    Raises:
        SolaError: if a value is out of range.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        *,
        stride: int = 1,
        window: int = 1,
        scale: float = 1.5,
        deviation: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if channels < 1 or channels % GROUPS:
            raise SolaError(f"width={channels}: expected a multiple of {GROUPS}")
        odd(window=window)
        positive(scale=scale)
        fraction("[0, 1)", drop_path=drop_path)
        self.stride, self.drop_path = stride, drop_path
        wide = round((window + 1) * scale)
        self.norm = nn.LayerNorm(channels)

        def depthwise(kernel_size: int) -> TemporalConvolution:
            convolution = TemporalConvolution(channels, channels, kernel_size, groups=channels)
            nn.init.normal_(convolution.weight, 0, deviation)
            return convolution

        self.gate = depthwise(window)
        self.instant = depthwise(1)
        self.narrow = depthwise(window)
        self.wide = depthwise(wide + 1 - wide % 2)
        self.mean = depthwise(1)
        self.perceptron_norm = nn.GroupNorm(GROUPS, channels)
        self.expansion = TemporalConvolution(channels, hidden, 1)
        self.contraction = TemporalConvolution(hidden, channels, 1)
        self.branch_scale: nn.Parameter | None = None
        self.perceptron_scale: nn.Parameter | None = None
        if drop_path:
            self.branch_scale = nn.Parameter(torch.full((channels,), SCALE))
            self.perceptron_scale = nn.Parameter(torch.full((channels,), SCALE))

    def forward(
        self,
        x: Float[Tensor, "batch time channels"],
        mask: Bool[Tensor, "batch time"] | None,
        paths: Float[Tensor, "2 batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch out channels"], Bool[Tensor, "batch out"] | None]:
        """Return the features and their mask; `time` is a multiple of the stride.

        In training, a clip skips a branch if its number in `paths` is below `drop_path`; None draws new numbers.
        """
        if self.stride > 1:
            x = halved(x)
        after = None if mask is None else mask[:, :: self.stride]
        if not self.training:
            paths = None
        elif paths is None:
            paths = draw_paths(1, len(x), x.device)
        first, second = (None, None) if paths is None else paths
        branch = recomputed(self._perceive, self.norm(x))
        x = x if after is None else x * after[:, :, None]
        x = x + dropped(self._scaled(branch, self.branch_scale), first, self.drop_path)
        normalized = self.perceptron_norm(x.transpose(1, 2)).transpose(1, 2)
        out = recomputed(self._contract, self.expansion(normalized))
        return x + dropped(self._scaled(out, self.perceptron_scale), second, self.drop_path), after

    def _perceive(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        level = self.mean(x.mean(dim=1, keepdim=True)).relu()
        # run both convolutions at once: their sum is a convolution with the sum of their kernels
        beyond = (self.wide.kernel_size[0] - self.narrow.kernel_size[0]) // 2
        weight = F.pad(self.narrow.weight, (beyond, beyond)) + self.wide.weight
        assert self.narrow.bias is not None
        assert self.wide.bias is not None
        window = convolved_once(x, weight, self.narrow.bias + self.wide.bias, groups=x.shape[2])
        out: Tensor = self.instant(x) * level + window * self.gate(x) + x
        return out

    def _contract(self, hidden: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch time channels"]:
        out: Tensor = self.contraction(F.gelu(hidden))
        return out

    @staticmethod
    def _scaled(
        branch: Float[Tensor, "batch time channels"], scale: Float[Tensor, " channels"] | None
    ) -> Float[Tensor, "batch time channels"]:
        return branch if scale is None else branch * scale
