"""Masked convolutions along time, and functions shared by the blocks of a pyramid.

Inside the networks, features are [batch, time, channels]. A mask is True at valid snippets; None means all are valid.
As in the published programs, the output of a convolution is zero in the padding, and the normalization after it adds
its bias there. So the output at the end of a clip depends on whether padding follows.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sola.detectors.point_pyramid.products import convolved_by_products

SCALE = 1e-4
"""Initial scale of the residual branches (LayerScale; Touvron et al., ICCV 2021)."""

LARGE = 2**25
"""Minimum number of multiplications per clip and kernel position at which matrix products are faster on a CPU."""


def convolved_once(
    x: Float[Tensor, "batch time channels"],
    weight: Float[Tensor, "filters group kernel"],
    bias: Float[Tensor, " filters"] | None,
    *,
    stride: int = 1,
    groups: int = 1,
) -> Float[Tensor, "batch out filters"]:
    """Convolve along time with a kernel of odd size and zero padding."""
    if groups == len(weight) == x.shape[2] and weight.shape[2] == stride == 1:
        scaled = x * weight.flatten()  # one factor per channel
        return scaled if bias is None else scaled + bias
    if x.device.type == "cpu" and groups == stride == 1 and _is_large(x, weight):
        return convolved_by_products(x, weight, bias)
    # convolve as an image with a single row, which keeps the channels last in memory
    image, padding = x.transpose(1, 2).unsqueeze(2), (0, weight.shape[2] // 2)
    out = F.conv2d(image, weight.unsqueeze(2), bias, stride=(1, stride), padding=padding, groups=groups)
    return out.squeeze(2).transpose(1, 2)


def _is_large(x: Float[Tensor, "batch time channels"], weight: Float[Tensor, "filters channels kernel"]) -> bool:
    """Return whether matrix products are faster, as for long clips and many channels in float32."""
    filters, channels, kernel = weight.shape
    full = x.dtype.itemsize >= torch.float32.itemsize and not torch.is_autocast_enabled("cpu")
    return full and kernel > 1 and x.shape[1] * channels * filters >= LARGE


class TemporalConvolution(nn.Conv1d):
    """A convolution along time with odd kernel size and zero padding; output i is at snippet stride·i.

    `bias` is the initial value of the bias, or None for no bias. With kernel size 1, this is a linear layer that is
    faster than PyTorch's convolution on a CPU.
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
        """Convolve, multiply each filter by its scale, and set the padding to zero; `mask` belongs to the output."""
        weight, bias = self.weight, self.bias
        if scale is not None:
            # scale the weights, so that the unscaled output is not saved for the gradient
            weight = weight * scale[:, None, None]
            bias = bias if bias is None else bias * scale
        out = convolved_once(x, weight, bias, stride=self.stride[0], groups=self.groups)
        return out if mask is None else out.mul_(mask[:, :, None])


def recomputed(layers: Callable[..., Tensor], *inputs: Any, random: bool = False) -> Tensor:
    """Call layers with activation checkpointing: save only the inputs, and recompute the rest for the gradient.

    The output of the last layer is not recomputed. `random` must be True if the layers draw random numbers.
    """
    if not torch.is_grad_enabled():
        return layers(*inputs)
    out: Tensor = checkpoint(layers, *inputs, use_reentrant=False, preserve_rng_state=random)
    return out


def draw_paths(blocks: int, clips: int, device: torch.device) -> Float[Tensor, "branches clips"]:
    """Draw a random number in [0, 1) for each clip and each of the two branches of every block."""
    return torch.stack([torch.rand(clips, device=device) for _ in range(2 * blocks)])


def dropped(
    branch: Float[Tensor, "batch time channels"], path: Float[Tensor, " batch"] | None, probability: float
) -> Float[Tensor, "batch time channels"]:
    """Apply stochastic depth: zero a branch for clips with `path` below `probability`, and scale the other clips."""
    if path is None or not probability:
        return branch
    active = (path >= probability)[:, None, None]
    return branch * (active.to(branch.dtype) / (1 - probability))


def halved(x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch half channels"]:
    """Apply max pooling along time with kernel size 3 and stride 2."""
    pooled = F.max_pool2d(x.transpose(1, 2).unsqueeze(2), (1, 3), (1, 2), (0, 1))
    return pooled.squeeze(2).transpose(1, 2)
