"""Fixed linear sampling of projected snippets into cells.

Boundary matching (BMN) and sub-graph alignment (G-TAD) sample every cell's features and then apply a linear layer
over channels and samples. Both are linear, so the layer is applied first, to T snippets, and its output is sampled.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.errors import SolaError


class Entries(NamedTuple):
    """Entries of a sampling: out[cell, sample] = Σ weight·x[time]; equal entries add up."""

    cell: Int[np.ndarray, " entries"]
    sample: Int[np.ndarray, " entries"]
    time: Int[np.ndarray, " entries"]
    """Snippets."""
    weight: Float[np.ndarray, " entries"]


Operator = tuple[Tensor, Tensor, Tensor]
"""A sparse matrix by rows: columns of the entries, where each row's entries begin, weights of the entries."""


class LinearSampling(nn.Module):
    """Each cell is a fixed weighted sum of projected snippets: out[cell] = Σ weight·projected[sample, time].

    The entries are arrays of equal length, of indices below `cells`, `samples` (of a cell) and `length` (T, snippets of
    a clip); entries of the same cell, sample and time add up. They are constants of the map's geometry, so they are not
    in the state dict. Sums are in 32 bits or more, and the same in every run: the gradient is the transposed matrix,
    not a scatter. Raises SolaError for an index out of range.
    """

    there_column: Tensor
    there_begin: Tensor
    there_weight: Tensor
    back_column: Tensor
    back_begin: Tensor
    back_weight: Tensor

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
                raise SolaError(f"{name} of an entry lies outside 0 … {size - 1}; expected indices of the map sampled")
        snippet = sample * length + time
        # merge equal entries: the three points of a sample in boundary matching share their snippets
        unique, inverse = np.unique(cell * (samples * length) + snippet, return_inverse=True)
        total = np.bincount(inverse, weights=weight, minlength=len(unique))
        unique, total = unique[total != 0], total[total != 0]
        row, column = np.divmod(unique, samples * length)
        self._register("there", row, column, total, cells)
        self._register("back", column, row, total, samples * length)

    def forward(self, projected: Float[Tensor, "batch samples time hidden"]) -> Float[Tensor, "batch cells hidden"]:
        """Sum each cell over its samples and snippets; a cell without entries is 0."""
        there = self.there_column, self.there_begin, self.there_weight
        back = self.back_column, self.back_begin, self.back_weight
        sampled: Tensor = _Product.apply(projected.flatten(1, 2), there, back)  # type: ignore[no-untyped-call]
        return sampled

    def dense(self) -> Float[Tensor, "cells samples time"]:
        """Return the weights as a full, large array."""
        table = self.there_weight.new_zeros(self.cells, self.samples * self.length)
        row = torch.arange(self.cells, device=table.device).repeat_interleave(self.there_begin.diff())
        table[row, self.there_column] = self.there_weight
        return table.view(self.cells, self.samples, self.length)

    def extra_repr(self) -> str:
        """Return the sizes, for `print(module)`."""
        entries = len(self.there_weight)
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
    """Sparse matrix · dense batch; the gradient is the product with the transposed matrix."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, there: Operator, back: Operator) -> Tensor:
        ctx.operators = there, back
        return _product(rows, there)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        there, back = ctx.operators
        return _Product.apply(gradient, back, there), None, None  # type: ignore[no-untyped-call]


def _product(rows: Tensor, operator: Operator) -> Tensor:
    # embedding_bag is torch's fastest sparse·dense product on CPUs (2.1 × its CSR product at BMN's size), and gathers
    # on GPUs; it takes one table, so the clips go through one at a time
    column, begin, weight = operator
    wide = torch.promote_types(weight.dtype, torch.float32)
    out = rows.new_empty(len(rows), len(begin) - 1, rows.shape[-1])
    for clip, into in zip(rows, out, strict=True):
        table = clip.to(wide).contiguous()
        into.copy_(
            F.embedding_bag(
                column, table, begin, mode="sum", per_sample_weights=weight.to(wide), include_last_offset=True
            )
        )
    return out
