"""Boundary matching by definition: its mask one position at a time, and random weights."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def dense_mask(
    length: int, layout: str, longest: int, *, samples: int, points: int, context: float, end_inclusive: bool
) -> Tensor:
    """Return the boundary-matching mask [T, samples, rows, columns], computed one position at a time."""
    rows = longest if layout == "duration_start" else length
    mask = np.zeros((length, samples, rows, length), np.float32)
    for start in range(length):
        for duration in range(1, min(longest, length - start) + 1):
            row, column = (duration - 1, start) if layout == "duration_start" else (start, start + duration - 1)
            last = start + duration - (0 if end_inclusive else 1)
            extent = last - start + 1
            low, high = start - context * extent, last + context * extent
            step = (high - low) / (samples * points - 1)
            for at in range(samples * points):
                place = low + step * at
                inner = int(place)  # rounds toward 0, so a position in (-1, 0) has the full value of snippet 0
                for snippet, weight in ((inner, 1 - (place - inner)), (math.ceil(place), place - inner)):
                    if place > -1 and 0 <= snippet < length:
                        mask[snippet, at // points, row, column] += weight / points
    return torch.from_numpy(mask)


def definition(features: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Sample every cell of the map, then apply Conv3d and ReLU."""
    sampled = torch.einsum("bct,tnij->bcnij", features, mask)
    return F.conv3d(sampled, weight, bias).squeeze(2).relu()


def set_weights(module: nn.Module, seed: int) -> None:
    """Set weights large enough for outputs to depend on the inputs; with PyTorch's initialization they are near 0.5."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                fan = parameter[0].numel() if parameter.dim() > 1 else 100
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan) ** 0.5)
