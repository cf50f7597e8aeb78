"""Local attention (ActionFormer, section 3.2) with memory linear in the clip length."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from sola.core.checks import odd

BLOCK = 32
"""Minimum number of queries that share a range of keys, so that matrix products are efficient."""


def local_attention(
    query: Float[Tensor, "batch time heads width"],
    key: Float[Tensor, "batch time heads width"],
    value: Float[Tensor, "batch time heads width"],
    mask: Bool[Tensor, "batch time"] | None,
    window: int,
) -> Float[Tensor, "batch time heads width"]:
    """Apply softmax attention of each snippet to the valid snippets in a window centered on it.

    The result equals attention with a band mask. It is computed in blocks of queries on overlapping views of keys and
    values, without a time × time array. `mask` is True for valid snippets; None means all are valid. The output for
    other snippets is finite but meaningless. `window` is an odd number of snippets.

    Raises:
        SolaError: if the window is even.
    """
    odd(window=window)
    batch, time, heads, width = query.shape
    reach = window // 2
    block = max(BLOCK, reach)
    missing = -time % block
    blocks = (time + missing) // block
    if missing:
        query, key, value = (F.pad(x, (0, 0, 0, 0, 0, missing)) for x in (query, key, value))
    key, value = (_Windows.apply(rows.flatten(0, 1), block, reach) for rows in (key, value))  # type: ignore[no-untyped-call]
    query = query.reshape(batch * blocks, block, heads, width).transpose(1, 2)
    band = _band(mask, batch, time, block, reach, query.device)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=band)
    return out.transpose(1, 2).reshape(batch, blocks * block, heads, width)[:, :time]


def global_attention(
    query: Float[Tensor, "batch time heads width"],
    key: Float[Tensor, "batch time heads width"],
    value: Float[Tensor, "batch time heads width"],
    mask: Bool[Tensor, "batch time"] | None,
) -> Float[Tensor, "batch time heads width"]:
    """Apply softmax attention of each snippet to all valid snippets, or to all snippets if none is valid."""
    allowed = None if mask is None else (mask | ~mask.any(1, keepdim=True))[:, None, None, :]
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed).transpose(1, 2)


def _band(
    mask: Bool[Tensor, "batch time"] | None, batch: int, time: int, block: int, reach: int, device: torch.device
) -> Bool[Tensor, "windows 1 block keys"]:
    """Return a mask of the keys that each query of a block attends to."""
    offset = torch.arange(block + 2 * reach, device=device) - torch.arange(block, device=device)[:, None] - reach
    if mask is None:
        mask = torch.ones(batch, time, dtype=torch.bool, device=device)
    # windows extend into the next clip, or beyond the last one
    exists = F.pad(mask, (reach, -time % block + reach), value=False).unfold(1, block + 2 * reach, block)
    # a query without valid keys attends to itself, because some PyTorch backends would return NaN
    return ((offset.abs() <= reach) & (exists[:, :, None] | (offset == 0))).flatten(0, 1)[:, None]


class _Windows(torch.autograd.Function):
    """Blocks of rows with `reach` more rows on each side, as overlapping views of one copy.

    PyTorch sums the gradient of overlapping views element by element. This class adds whole blocks instead.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Float[Tensor, "rows heads width"], block: int, reach: int
    ) -> Float[Tensor, "windows heads keys width"]:
        ctx.block, ctx.reach = block, reach
        padded = F.pad(rows, (0, 0, 0, 0, reach, reach))
        return padded.unfold(0, block + 2 * reach, block).transpose(2, 3)

    @staticmethod
    def backward(
        ctx: Any, *gradient: Float[Tensor, "windows heads keys width"]
    ) -> tuple[Float[Tensor, "rows heads width"], None, None]:
        block, reach = ctx.block, ctx.reach
        windows = gradient[0].transpose(1, 2)
        total = windows[:, reach : reach + block].contiguous()
        if reach:
            total[:-1, block - reach :] += windows[1:, :reach]
            total[1:, :reach] += windows[:-1, reach + block :]
        return total.flatten(0, 1), None, None
