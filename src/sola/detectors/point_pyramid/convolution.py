"""Masked convolutions along time, and what blocks of a pyramid share.

Features are [batch, time, channels] inside the networks. A mask is True at valid snippets; None is all True. As in the
published programs, the output of a convolution is zero in the padding, and the normalization after it adds its bias
there. So the last snippets of a clip depend on whether padding follows them.
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

LARGE = 2**29
"""Multiplications for one clip and one position of the kernel, from which matrix products are faster on a CPU."""


def convolved_once(
    x: Float[Tensor, "batch time channels"],
    weight: Float[Tensor, "filters group kernel"],
    bias: Float[Tensor, " filters"] | None,
    *,
    stride: int = 1,
    groups: int = 1,
) -> Float[Tensor, "batch out filters"]:
    """Convolve along time with a kernel of odd size, padded with zeros."""
    if groups == len(weight) == x.shape[2] and weight.shape[2] == stride == 1:
        scaled = x * weight.flatten()  # a number for each channel
        return scaled if bias is None else scaled + bias
    if x.device.type == "cpu" and groups == stride == 1 and _is_large(x, weight):
        return convolved_by_products(x, weight, bias)
    # channels stay last in memory: as an image of one row
    image, padding = x.transpose(1, 2).unsqueeze(2), (0, weight.shape[2] // 2)
    out = F.conv2d(image, weight.unsqueeze(2), bias, stride=(1, stride), padding=padding, groups=groups)
    return out.squeeze(2).transpose(1, 2)


def _is_large(x: Float[Tensor, "batch time channels"], weight: Float[Tensor, "filters channels kernel"]) -> bool:
    """Return whether matrix products are faster: long clips and many channels in full precision."""
    filters, channels, kernel = weight.shape
    full = x.dtype.itemsize >= torch.float32.itemsize and not torch.is_autocast_enabled("cpu")
    return full and kernel > 1 and x.shape[1] * channels * filters >= LARGE


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
        out = convolved_once(x, weight, bias, stride=self.stride[0], groups=self.groups)
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


def dropped(
    branch: Float[Tensor, "batch time channels"], path: Float[Tensor, " batch"] | None, probability: float
) -> Float[Tensor, "batch time channels"]:
    """Return a residual branch without the clips whose number in `path` is below `probability`; others are scaled."""
    if path is None or not probability:
        return branch
    kept = (path >= probability)[:, None, None]
    return branch * (kept.to(branch.dtype) / (1 - probability))


def halved(x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch half channels"]:
    """Return the maximum over three snippets around every second one."""
    pooled = F.max_pool2d(x.transpose(1, 2).unsqueeze(2), (1, 3), (1, 2), (0, 1))
    return pooled.squeeze(2).transpose(1, 2)
