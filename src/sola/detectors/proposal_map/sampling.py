"""Fixed linear sampling of projected snippets into cells.

Boundary matching (BMN) and sub-graph alignment (G-TAD) sample features for every cell, and then apply a linear layer
over channels and samples. Both steps are linear, so the layer is applied to the T snippets first, and its output is
sampled.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.errors import SolaError


class Entries(NamedTuple):
    """Entries of a linear sampling: out[cell, sample] = Σ weight·x[time]; entries with equal indices are summed."""

    cell: Int[np.ndarray, " entries"]
    sample: Int[np.ndarray, " entries"]
    time: Int[np.ndarray, " entries"]
    """Index of the snippet."""
    weight: Float[np.ndarray, " entries"]


Operator = tuple[Tensor, Tensor, Tensor]
"""A sparse matrix in row order: columns of the entries, first entry of each row, and weights of the entries."""


class LinearSampling(nn.Module):
    """Compute each cell as a fixed weighted sum of projected snippets: out[cell] = Σ weight·projected[sample, time].

    The entries are arrays of equal length with indices below `cells`, `samples` (per cell) and `length` (snippets T of
    a clip). Entries with equal indices are summed. The entries depend only on the geometry of the map, so they are not
    in the state dict. Sums use float32 or float64 and are deterministic, because the gradient is a product with the
    transposed matrix and not a scatter.

    Raises:
        SolaError: if an index is out of range.
    """

    forward_column: Tensor
    forward_begin: Tensor
    forward_weight: Tensor
    backward_column: Tensor
    backward_begin: Tensor
    backward_weight: Tensor

    def __init__(
        self,
        cell: Int[np.ndarray, " entries"],
        sample: Int[np.ndarray, " entries"],
        time: Int[np.ndarray, " entries"],
        weight: Float[np.ndarray, " entries"],
        *,
        cells: int,
        samples: int,
        length: int,
    ) -> None:
        super().__init__()
        self.cells, self.samples, self.length = cells, samples, length
        for name, index, size in (("cell", cell, cells), ("sample", sample, samples), ("time", time, length)):
            if len(index) and not (index.min() >= 0 and index.max() < size):
                raise SolaError(f"{name} of an entry is outside 0 … {size - 1}; expected an index of the map")
        snippet = sample * length + time
        # merge entries with equal indices; in boundary matching, the three points of a sample share snippets
        unique, inverse = np.unique(cell * (samples * length) + snippet, return_inverse=True)
        total = np.bincount(inverse, weights=weight, minlength=len(unique))
        unique, total = unique[total != 0], total[total != 0]
        row, column = np.divmod(unique, samples * length)
        self._register("forward", row, column, total, cells)
        self._register("backward", column, row, total, samples * length)

    def forward(self, projected: Float[Tensor, "batch samples time hidden"]) -> Float[Tensor, "batch cells hidden"]:
        """Sum each cell over its samples and snippets; a cell without entries is 0."""
        matrix = self.forward_column, self.forward_begin, self.forward_weight
        transposed = self.backward_column, self.backward_begin, self.backward_weight
        sampled: Tensor = _Product.apply(projected.flatten(1, 2), matrix, transposed)  # type: ignore[no-untyped-call]
        return sampled

    def dense(self) -> Float[Tensor, "cells samples time"]:
        """Return the weights as a dense array, which is large."""
        table = self.forward_weight.new_zeros(self.cells, self.samples * self.length)
        row = torch.arange(self.cells, device=table.device).repeat_interleave(self.forward_begin.diff())
        table[row, self.forward_column] = self.forward_weight
        return table.view(self.cells, self.samples, self.length)

    def extra_repr(self) -> str:
        """Return the sizes for `print`."""
        entries = len(self.forward_weight)
        return f"cells={self.cells}, samples={self.samples}, length={self.length}, entries={entries}"

    def _register(self, name: str, row: np.ndarray, column: np.ndarray, weight: np.ndarray, rows: int) -> None:
        order = np.argsort(row, kind="stable")
        begin = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
        for part, values in (
            ("column", column[order].astype(np.int32)),
            ("begin", begin.astype(np.int32)),
            ("weight", weight[order].astype(np.float32)),
        ):
            self.register_buffer(f"{name}_{part}", torch.from_numpy(values), persistent=False)


class _Product(torch.autograd.Function):
    """Product of a sparse matrix and a dense batch; the gradient is the product with the transposed matrix."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, matrix: Operator, transposed: Operator) -> Tensor:
        ctx.operators = matrix, transposed
        return _product(rows, matrix)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        matrix, transposed = ctx.operators
        return _Product.apply(gradient, transposed, matrix), None, None  # type: ignore[no-untyped-call]


def _product(rows: Tensor, operator: Operator) -> Tensor:
    # embedding_bag is the fastest sparse-dense product of PyTorch on CPUs (2.1x faster than CSR at the size of BMN) and
    # gathers on GPUs; it takes a single table, so process one clip at a time
    column, begin, weight = operator
    wide = torch.promote_types(weight.dtype, torch.float32)
    out = rows.new_empty(len(rows), len(begin) - 1, rows.shape[-1])
    for clip, target in zip(rows, out, strict=True):
        table = clip.to(wide).contiguous()
        target.copy_(
            F.embedding_bag(
                column, table, begin, mode="sum", per_sample_weights=weight.to(wide), include_last_offset=True
            )
        )
    return out
