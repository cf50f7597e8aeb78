"""Random weights for InternVideo2 and a plain reference implementation of its network."""

import numpy as np
import torch
from torch.nn import functional as F

from support.weights import noise

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
Weights = dict[str, torch.Tensor]


def weights_of(width: int = 384, blocks: int = 2, hidden: int = 96, frames: int = 4, channels: int = 48) -> Weights:
    """Return random weights under the authors' names, including the classifier."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + 256 * frames, width),
        "patch_embed.proj.weight": (width, 3, 1, 14, 14),
        "patch_embed.proj.bias": (width,),
        "clip_projector.cross_attn.proj.weight": (channels, width),
        "clip_projector.cross_attn.proj.bias": (channels,),
        "fc_norm.weight": (channels,),
        "fc_norm.bias": (channels,),
        "head.weight": (5, channels),
        "head.bias": (5,),
    }
    for part in "qkv":
        shapes |= {
            f"clip_projector.norm1_{part}.weight": (width,),
            f"clip_projector.norm1_{part}.bias": (width,),
            f"clip_projector.cross_attn.{part}.weight": (width, width),
            f"clip_projector.cross_attn.{part}_bias": (width,),
        }
    for block in range(blocks):
        block_shapes: dict[str, tuple[int, ...]] = {
            "norm1.weight": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.q_norm.weight": (width,),
            "attn.k_norm.weight": (width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "ls1.gamma": (width,),
            "norm2.weight": (width,),
            "mlp.fc1.weight": (hidden, width),
            "mlp.fc1.bias": (hidden,),
            "mlp.fc2.weight": (width, hidden),
            "mlp.fc2.bias": (width,),
            "ls2.gamma": (width,),
        }
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in block_shapes.items()}
    return {
        name: noise(*shape, seed=seed) * (1.5 / np.prod(shape[1:]) ** 0.5 if len(shape) in (2, 5) else 0.3)
        + ("norm" in name and "weight" in name)
        for seed, (name, shape) in enumerate(shapes.items())
    }


def by_definition(weights: Weights, frames: np.ndarray, heads: int = 6) -> torch.Tensor:
    """Map frames [batch, window, 224, 224, 3] to features [batch, channels] in double precision."""
    w = {name: weight.double() for name, weight in weights.items()}
    video = ((torch.tensor(frames / 255) - MEAN) / DEVIATION).permute(0, 4, 1, 2, 3)
    x = F.conv3d(video, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=(1, 14, 14))
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], dim=1) + w["pos_embed"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def rms(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * w[f"{name}.weight"]

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int) -> torch.Tensor:
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        attended = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1) @ v
        return attended.transpose(1, 2).flatten(2)

    for block in range(sum(name.endswith("norm1.weight") for name in w)):
        prefix = f"blocks.{block}"
        q, k, v = (rms(x, f"{prefix}.norm1") @ w[f"{prefix}.attn.qkv.weight"].T).chunk(3, -1)
        attended = attention(rms(q, f"{prefix}.attn.q_norm"), rms(k, f"{prefix}.attn.k_norm"), v, heads)
        x = x + w[f"{prefix}.ls1.gamma"] * F.linear(
            attended, w[f"{prefix}.attn.proj.weight"], w[f"{prefix}.attn.proj.bias"]
        )
        inner = F.linear(rms(x, f"{prefix}.norm2"), w[f"{prefix}.mlp.fc1.weight"], w[f"{prefix}.mlp.fc1.bias"])
        inner = inner / 2 * (1 + ((2 / torch.pi) ** 0.5 * (inner + 0.044715 * inner**3)).tanh())
        x = x + w[f"{prefix}.ls2.gamma"] * F.linear(inner, w[f"{prefix}.mlp.fc2.weight"], w[f"{prefix}.mlp.fc2.bias"])
    pool = "clip_projector"
    q, k, v = (
        F.linear(norm(tokens, f"{pool}.norm1_{part}"), w[f"{pool}.cross_attn.{part}.weight"])
        + w[f"{pool}.cross_attn.{part}_bias"]
        for part, tokens in {"q": x.mean(1, keepdim=True), "k": x, "v": x}.items()
    )
    attended = attention(q, k, v, 16)[:, 0]
    pooled = F.linear(attended, w[f"{pool}.cross_attn.proj.weight"], w[f"{pool}.cross_attn.proj.bias"])
    return norm(pooled, "fc_norm")
