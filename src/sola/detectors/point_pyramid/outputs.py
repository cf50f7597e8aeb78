"""Output layers that all levels of the pyramid share; they run on all levels at once."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from sola.core.checks import at_least, odd
from sola.detectors.point_pyramid.backbone import Level, convolved
from sola.detectors.point_pyramid.convolution import TemporalConvolution

PRIOR_BIAS = -math.log(99)
"""Initial bias of a class logit, for a probability of 0.01 (Lin et al., ICCV 2017, section 4.1)."""


class PointLayers(nn.Module):
    """Two convolutions with normalization and an output convolution, shared by all levels (ActionFormer, section 3.3).

    `outputs` is the number of outputs per point, and `bias` their initial bias.

    Raises:
        SolaError: if a value is out of range.
    """

    def __init__(self, channels: int, width: int, outputs: int, *, kernel_size: int = 3, bias: float = 0.0) -> None:
        super().__init__()
        at_least(1, head_width=width)
        odd(kernel_size=kernel_size)
        self.convolutions = nn.ModuleList(
            (
                TemporalConvolution(channels, width, kernel_size, bias=None),
                TemporalConvolution(width, width, kernel_size, bias=None),
                TemporalConvolution(width, outputs, kernel_size, bias=bias),
            )
        )
        self.norms = nn.ModuleList((nn.LayerNorm(width), nn.LayerNorm(width)))

    def forward(
        self,
        row: Float[Tensor, "batch time channels"],
        mask: Bool[Tensor, "batch time"] | None,
        gaps: Int[Tensor, " gaps"],
    ) -> Float[Tensor, "batch time outputs"]:
        """Return the outputs on the concatenated levels, with gaps in between (see `in_a_row`)."""
        return convolved(self.convolutions, self.norms, row, mask, gaps)


def in_a_row(
    levels: Sequence[Level], gap: int = 1
) -> tuple[Float[Tensor, "batch row channels"], Bool[Tensor, "batch row"] | None, Int[Tensor, " gaps"]]:
    """Concatenate the levels in time with `gap` zeros between them, so that layers run once for all levels.

    A gap must be at least half as long as the kernel. Either all levels have a mask or none.

    Returns:
        The concatenated levels, their mask, and the positions of the gaps, where the input of every convolution must be
        zero.
    """
    features, masks = zip(*levels, strict=True)
    ends = torch.tensor([level.shape[1] for level in features[:-1]], dtype=torch.int64).cumsum(0)
    starts = ends + gap * torch.arange(len(ends))
    gaps = (starts[:, None] + torch.arange(gap)).flatten().to(features[0].device)
    return _spaced(features, gap), None if masks[0] is None else _spaced(masks, gap), gaps


def _spaced(levels: Sequence[Shaped[Tensor, "batch _ *channels"]], gap: int) -> Shaped[Tensor, "batch row *channels"]:
    """Concatenate levels in time with `gap` zeros between them."""
    first = levels[0]
    zeros = first.new_zeros(len(first), gap, *first.shape[2:])
    return torch.cat([column for level in levels for column in (level, zeros)][:-1], dim=1)


def of_levels(row: Float[Tensor, "batch row outputs"], lengths: Sequence[int], gap: int = 1) -> tuple[Tensor, ...]:
    """Split concatenated outputs into levels of these lengths."""
    sizes = [size for length in lengths for size in (length, gap)][:-1]
    return tuple(torch.split(row, sizes, dim=1)[::2])


def masks_of(levels: Sequence[Level]) -> tuple[Bool[Tensor, "batch _"], ...]:
    """Return the mask of each level, which is True at points inside the clip."""
    return tuple(x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask for x, mask in levels)
