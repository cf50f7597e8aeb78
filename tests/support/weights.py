"""Random numbers and weights for networks under test."""

import numpy as np
import torch
from torch import Tensor


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def randomized(model: torch.nn.Module) -> torch.nn.Module:
    """Set random weights such that every layer affects the output and scores differ between points."""
    with torch.no_grad():
        for number, (name, weight) in enumerate(model.named_parameters()):
            draw = noise(*weight.shape, seed=number)
            if weight.ndim < 2 or weight.shape[0] == 1 or "scale" in name:
                weight.copy_(0.3 * draw + (0 if name.endswith("bias") else 1))
            else:
                weight.copy_(draw / np.prod(weight.shape[1:]) ** 0.5)
                if weight.shape[1] == 1:  # depthwise; keeps the product of three of them small
                    weight.mul_(0.3)
    return model.eval()
