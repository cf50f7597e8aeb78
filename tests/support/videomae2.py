"""Random weights for VideoMAE V2 and a plain reference implementation of its network."""

import numpy as np
import torch
from torch.nn import functional as F

from support.weights import noise

Weights = dict[str, torch.Tensor]


def weights_of(width: int = 384, blocks: int = 2, hidden: int = 96, patch: int = 16, classes: int = 5) -> Weights:
    """Return random weights under the authors' names, with the classifier."""
    shapes = {
        "patch_embed.proj.weight": (width, 3, 2, patch, patch),
        "patch_embed.proj.bias": (width,),
        "fc_norm.weight": (width,),
        "fc_norm.bias": (width,),
        "head.weight": (classes, width),
        "head.bias": (classes,),
    }
    for block in range(blocks):
        inside = {
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "attn.q_bias": (width,),
            "attn.v_bias": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
            "mlp.fc1.weight": (hidden, width),
            "mlp.fc1.bias": (hidden,),
            "mlp.fc2.weight": (width, hidden),
            "mlp.fc2.bias": (width,),
        }
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in inside.items()}
    return {
        name: noise(*shape, seed=seed) * (1.5 / np.prod(shape[1:]) ** 0.5 if len(shape) > 1 else 0.3)
        + ("norm" in name and "weight" in name)
        for seed, (name, shape) in enumerate(shapes.items())
    }


def by_definition(weights: Weights, frames: np.ndarray, heads: int = 6) -> torch.Tensor:
    """Map frames [batch, 16, 224, 224, 3] to features [batch, channels] in double precision."""
    w = {name: weight.double() for name, weight in weights.items()}
    width, patch = len(w["fc_norm.weight"]), w["patch_embed.proj.weight"].shape[-1]
    video = torch.tensor(frames / 255).permute(0, 4, 1, 2, 3)
    x = F.conv3d(video, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=(2, patch, patch))
    x = x.flatten(2).transpose(1, 2)
    angle = torch.arange(x.shape[1])[:, None] / 10000 ** (torch.arange(width).double() // 2 * 2 / width)
    x = x + torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    for block in range(sum(name.endswith("norm1.bias") for name in w)):
        own = f"blocks.{block}"
        bias = torch.cat([w[f"{own}.attn.q_bias"], torch.zeros(width), w[f"{own}.attn.v_bias"]])
        qkv = norm(x, f"{own}.norm1") @ w[f"{own}.attn.qkv.weight"].T + bias
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        seen = (q @ k.transpose(-2, -1) / (width // heads) ** 0.5).softmax(-1) @ v
        x = x + F.linear(seen.transpose(1, 2).flatten(2), w[f"{own}.attn.proj.weight"], w[f"{own}.attn.proj.bias"])
        inner = F.gelu(F.linear(norm(x, f"{own}.norm2"), w[f"{own}.mlp.fc1.weight"], w[f"{own}.mlp.fc1.bias"]))
        x = x + F.linear(inner, w[f"{own}.mlp.fc2.weight"], w[f"{own}.mlp.fc2.bias"])
    return norm(x.mean(1), "fc_norm")
