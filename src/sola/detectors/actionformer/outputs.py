"""Output layers of ActionFormer, shared by all levels of the pyramid and run on all levels at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sola.core.checks import at_least
from sola.detectors.actionformer.backbone import convolved
from sola.detectors.actionformer.blocks import TemporalConvolution


class PointLayers(nn.Module):
    """Two normalized convolutions and an output convolution, the same at every level (section 3.3).

    `outputs` is the number at each point, `bias` their initial value. Raises SolaError for a width below 1.
    """

    def __init__(self, channels: int, width: int, outputs: int, *, bias: float = 0.0) -> None:
        super().__init__()
        at_least(1, head_width=width)
        self.convolutions = nn.ModuleList(
            (
                TemporalConvolution(channels, width, 3, bias=None),
                TemporalConvolution(width, width, 3, bias=None),
                TemporalConvolution(width, outputs, 3, bias=bias),
            )
        )
        self.norms = nn.ModuleList((nn.LayerNorm(width), nn.LayerNorm(width)))

    def forward(
        self,
        row: Float[Tensor, "batch time channels"],
        mask: Bool[Tensor, "batch time"] | None,
        gaps: Int[Tensor, " gaps"],
    ) -> Float[Tensor, "batch time outputs"]:
        """Return the outputs on all levels side by side, with a gap between every two (see `in_a_row`)."""
        return convolved(self.convolutions, self.norms, row, mask, gaps)


def in_a_row(
    levels: Sequence[Float[Tensor, "batch _ channels"]], mask: Bool[Tensor, "batch time"] | None
) -> tuple[Float[Tensor, "batch row channels"], Bool[Tensor, "batch row"] | None, Int[Tensor, " gaps"]]:
    """Lay the levels side by side, a column of zeros between every two, so that layers run once for all of them.

    Returns the row, its mask, and the positions of the gaps, which must be zero for every convolution.
    """
    gap = levels[0].new_zeros(len(levels[0]), 1, levels[0].shape[2])
    columns = [column for level in levels for column in (level, gap)][:-1]
    ends = torch.tensor([level.shape[1] for level in levels[:-1]], dtype=torch.int64).cumsum(0)
    gaps = (ends + torch.arange(len(ends))).to(gap.device)
    if mask is not None:
        none = mask.new_zeros(len(mask), 1)
        mask = torch.cat([part for level in range(len(levels)) for part in (mask[:, :: 2**level], none)][:-1], dim=1)
    return torch.cat(columns, dim=1), mask, gaps


def of_levels(row: Float[Tensor, "batch row outputs"], lengths: Sequence[int]) -> tuple[Tensor, ...]:
    """Split a row into its levels."""
    sizes = [size for length in lengths for size in (length, 1)][:-1]
    return tuple(torch.split(row, sizes, dim=1)[::2])
