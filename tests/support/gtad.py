"""The published G-TAD in plain code, with random weights in the published layout."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from support.alignment_kernel import kernel
from support.weights import noise

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def graph_in_loops(x: Tensor, k: int) -> list[list[list[int]]]:
    """Return the k nearest snippets of each snippet of each clip [channels, time]."""
    return [
        [
            sorted(range(clip.shape[1]), key=lambda n, t=t, clip=clip: float((clip[:, n] - clip[:, t]).norm()))[:k]
            for t in range(clip.shape[1])
        ]
        for clip in x.detach().double()
    ]


def of_neighbors(x: Tensor, k: int) -> Tensor:
    """Return the features of the neighbors as [batch, channels, time, k]."""
    graph = graph_in_loops(x, k)
    return torch.stack([clip[:, torch.tensor(index)] for clip, index in zip(x, graph, strict=True)])


def align(x: Tensor, regions: list[tuple[float, float]], bins: int) -> Tensor:
    """Align with the weights of the kernel in plain loops, as [batch, channels, regions, bins]."""
    weights = np.array([kernel(start, end, bins, x.shape[2]) for start, end in regions])
    return torch.einsum("bct,rnt->bcrn", x, torch.tensor(weights, dtype=x.dtype))


def aligned_map(x: Tensor, regions: list[tuple[float, float]], bins: int, context_bins: int, k: int) -> Tensor:
    """Return aligned features as [batch, channels·(bins + context_bins), regions], channels first."""
    inner = align(x, regions, bins)
    context = align(of_neighbors(x, k).mean(-1), regions, context_bins)
    return torch.cat([inner, context], dim=3).transpose(2, 3).flatten(1, 2)


def regions_of(length: int, durations: int, end_inclusive: bool = False) -> list[tuple[float, float]]:
    """Return the region of every cell [duration, start], row by row."""
    regions = []
    for d in range(durations):
        for s in range(length):
            last = s + d + (1 if end_inclusive else 0)
            half = 0.5 * (d + 1)
            regions.append((s - half, last + half) if s + d < length else (0.0, 0.0))
    return regions


# published layers and shapes with the defaults of the branch `anet`
BLOCK = {
    "tconvs.0": (128, 256, 1),
    "tconvs.2": (128, 4, 3),
    "tconvs.4": (256, 128, 1),
    "sconvs.0": (128, 512, 1, 1),
    "sconvs.2": (128, 4, 1, 1),
    "sconvs.4": (256, 128, 1, 1),
}
PUBLISHED = {
    "backbone1.0": (256, 100, 3),
    **{f"{at}.{name}": s for at in ("backbone1.2", "regu_s.0", "regu_e.0", "backbone2.0") for name, s in BLOCK.items()},
    "regu_s.1": (1, 256, 1),
    "regu_e.1": (1, 256, 1),
    "localization.0": (512, 9216, 1, 1),
    "localization.2": (128, 512, 1, 1),
    "localization.4": (128, 128, 1, 1),
    "localization.6": (128, 128, 1, 1),
    "localization.8": (2, 128, 1, 1),
}


def published_state(
    channels: int = 400, bins: int = 36, projected: int = 512, kernel_size: int = 1
) -> dict[str, Tensor]:
    """Random weights under the published names and shapes."""
    shapes = PUBLISHED | {
        "backbone1.0": (256, channels // 4, 3),
        "localization.0": (projected, 256 * bins, 1, 1),
        "localization.2": (128, projected, 1, 1),
        "localization.4": (128, 128, kernel_size, kernel_size),
        "localization.6": (128, 128, kernel_size, kernel_size),
    }
    state = {}
    for seed, (name, shape) in enumerate(shapes.items()):
        # large enough for probabilities that differ between cells
        state[f"{name}.weight"] = 1.5 * noise(*shape, seed=seed) / np.prod(shape[1:]) ** 0.5
        state[f"{name}.bias"] = 0.1 * noise(shape[0], seed=100 + seed)
    return state


def published_network(
    state: dict[str, Tensor], x: Tensor, durations: int, bins: int, context_bins: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return map, start and end as defined in the paper and the published code."""

    def conv(name: str, x: Tensor, groups: int = 1, padding: int = 0) -> Tensor:
        function = F.conv1d if x.ndim == 3 else F.conv2d
        return function(x, state[f"{name}.weight"], state[f"{name}.bias"], groups=groups, padding=padding)

    def block(name: str, x: Tensor) -> Tensor:
        t = conv(f"{name}.tconvs.0", x).relu()
        t = conv(f"{name}.tconvs.2", t, groups=32, padding=1).relu()
        t = conv(f"{name}.tconvs.4", t)
        s = torch.cat([of_neighbors(x, 3), x[..., None].expand(-1, -1, -1, 3)], dim=1)
        s = conv(f"{name}.sconvs.0", s).relu()
        s = conv(f"{name}.sconvs.2", s, groups=32).relu()
        s = conv(f"{name}.sconvs.4", s).max(-1).values
        return (t + x + s).relu()

    base = block("backbone1.2", conv("backbone1.0", x, groups=4, padding=1).relu())
    start = conv("regu_s.1", block("regu_s.0", base)).sigmoid()[:, 0]
    end = conv("regu_e.1", block("regu_e.0", base)).sigmoid()[:, 0]
    features = aligned_map(block("backbone2.0", base), regions_of(x.shape[2], durations), bins, context_bins, 3)
    image = conv("localization.0", features.unflatten(2, (durations, -1))).relu()
    image = conv("localization.2", image).relu()
    reach = state["localization.4.weight"].shape[-1] // 2
    image = conv("localization.4", image, padding=reach).relu()
    image = conv("localization.6", image, padding=reach).relu()
    return conv("localization.8", image).sigmoid(), start, end
