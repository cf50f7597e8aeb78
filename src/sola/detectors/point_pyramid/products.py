"""A convolution along time as matrix products, one per kernel position.

With channels last and in float32, it takes half the time of PyTorch's convolution on a CPU. The results are accumulated
in place, without a copy of the features.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class Products(torch.autograd.Function):
    """`convolved_by_products` and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Sum the products of the snippets and the kernel over the kernel positions."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        out = x.new_zeros(*x.shape[:2], len(weight)) if bias is None else bias.expand(*x.shape[:2], -1).contiguous()
        kernel = weight.permute(2, 1, 0).contiguous()
        for inputs, outputs, position in _pairs(x, out, len(kernel)):
            outputs.addmm_(inputs, kernel[position])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of the features, the weight and the bias."""
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        x_gradient = weight_gradient = None
        if ctx.needs_input_grad[0]:
            x_gradient = torch.zeros_like(x)
            kernel = weight.permute(2, 0, 1).contiguous()
            for inputs, outputs, position in _pairs(x_gradient, gradient, len(kernel)):
                inputs.addmm_(outputs, kernel[position])
        if ctx.needs_input_grad[1]:
            kernel_gradient = weight.new_zeros(weight.shape[2], *weight.shape[:2])
            for inputs, outputs, position in _pairs(x, gradient, len(kernel_gradient)):
                kernel_gradient[position].addmm_(outputs.T, inputs)
            weight_gradient = kernel_gradient.permute(1, 2, 0)
        return x_gradient, weight_gradient, gradient.sum((0, 1)) if ctx.has_bias else None


def convolved_by_products(
    x: Float[Tensor, "batch time channels"],
    weight: Float[Tensor, "filters channels kernel"],
    bias: Float[Tensor, " filters"] | None,
) -> Float[Tensor, "batch time filters"]:
    """Convolve along time with a kernel of odd size and zero padding."""
    out: Tensor = Products.apply(x.contiguous(), weight, bias)  # type: ignore[no-untyped-call]
    return out


def _pairs(x: Tensor, out: Tensor, kernel_size: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Yield input snippets of each clip, the output snippets that they contribute to, and the kernel position."""
    for before, after in zip(x, out, strict=True):
        for position in range(kernel_size):
            shift = position - kernel_size // 2
            first, last = max(shift, 0), min(shift, 0)
            count = len(before) - abs(shift)
            if count > 0:
                yield before[first : first + count], after[-last : -last + count], position
