"""The published ActionFormer in plain code, with random weights in the published layout."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sola.detectors.actionformer.network import ActionFormer
from support.weights import noise

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def published_shapes(channels: int, width: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published state dict: 2 convolutions, 2 + 5 blocks, 6 levels."""
    norm = (1, width, 1)
    shapes: dict[str, tuple[int, ...]] = {}
    for index in (0, 1):
        shapes[f"backbone.embd.{index}.conv.weight"] = (width, width if index else channels, 3)
        shapes[f"backbone.embd_norm.{index}.weight"] = norm
        shapes[f"backbone.embd_norm.{index}.bias"] = norm
    for block in [f"backbone.stem.{i}" for i in range(2)] + [f"backbone.branch.{i}" for i in range(5)]:
        for layer in ("ln1", "ln2", "attn.query_norm", "attn.key_norm", "attn.value_norm"):
            shapes |= {f"{block}.{layer}.weight": norm, f"{block}.{layer}.bias": norm}
        for role in ("query", "key", "value"):
            shapes[f"{block}.attn.{role}_conv.conv.weight"] = (width, 1, 3)
        for layer in ("query", "key", "value", "proj"):
            shapes |= {f"{block}.attn.{layer}.weight": (width, width, 1), f"{block}.attn.{layer}.bias": (width,)}
        shapes |= {f"{block}.mlp.0.weight": (4 * width, width, 1), f"{block}.mlp.0.bias": (4 * width,)}
        shapes |= {f"{block}.mlp.3.weight": (width, 4 * width, 1), f"{block}.mlp.3.bias": (width,)}
        shapes |= {f"{block}.drop_path_attn.scale": norm, f"{block}.drop_path_mlp.scale": norm}
    for level in range(6):
        shapes |= {f"neck.fpn_norms.{level}.weight": norm, f"neck.fpn_norms.{level}.bias": norm}
        shapes[f"reg_head.scale.{level}.scale"] = ()
    for head, output, outputs in (("cls_head", "cls_head", classes), ("reg_head", "offset_head", 2)):
        for index in (0, 1):
            shapes[f"{head}.head.{index}.conv.weight"] = (width, width, 3)
            shapes |= {f"{head}.norm.{index}.weight": norm, f"{head}.norm.{index}.bias": norm}
        shapes |= {f"{head}.{output}.conv.weight": (outputs, width, 3), f"{head}.{output}.conv.bias": (outputs,)}
    return shapes


def published_state(channels: int, width: int, classes: int, seed: int = 0) -> dict[str, Tensor]:
    """Random weights, with norms and scales that differ clearly from 1 and 0."""
    state = {}
    for number, (name, shape) in enumerate(published_shapes(channels, width, classes).items()):
        draw = noise(*shape, seed=1000 * seed + number)
        if name.endswith("bias"):
            state[name] = 0.3 * draw
        elif "norm" in name or "ln" in name or "scale" in name:
            state[name] = 1 + 0.3 * draw
        else:
            state[name] = 1.5 * draw / np.prod(shape[1:]) ** 0.5
    return state


def published_network(
    state: dict[str, Tensor], x: Tensor, mask: Tensor, windows: list[int | None], position: Tensor | None
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return logits [batch, classes, time], offsets [batch, 2, time] and masks of the levels; x has zero padding."""

    def norm(name: str, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        deviation = ((x - mean) ** 2).mean(1, keepdim=True).add(1e-5).sqrt()
        return (x - mean) / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]

    def conv(name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv1d(x, weight, state.get(f"{name}.bias"), stride, weight.shape[2] // 2, groups=groups)

    def attention(name: str, x: Tensor, mask: Tensor, stride: int, window: int | None) -> Tensor:
        parts = []
        for role in ("query", "key", "value"):
            part = conv(f"{name}.{role}_conv.conv", x, stride, groups=x.shape[1]) * mask[:, None]
            part = conv(f"{name}.{role}", norm(f"{name}.{role}_norm", part))
            parts.append(part.unflatten(1, (4, -1)))
        query, key, value = parts
        score = torch.einsum("bhct,bhcs->bhts", query, key) * query.shape[2] ** -0.5
        at = torch.arange(x.shape[2] // stride)
        band = torch.ones(len(at), len(at), dtype=torch.bool)
        if window is not None:
            band = (at[:, None] - at).abs() <= window // 2
        allowed = band & mask[:, None, None, :]
        share = score.masked_fill(~allowed, -1e9).softmax(-1)
        out = torch.einsum("bhts,bhcs->bhct", share, value).flatten(1, 2)
        return conv(f"{name}.proj", out) * mask[:, None]

    def block(name: str, x: Tensor, mask: Tensor, stride: int, window: int | None) -> tuple[Tensor, Tensor]:
        after = mask[:, ::stride]
        attended = attention(f"{name}.attn", norm(f"{name}.ln1", x), after, stride, window)
        skip = x if stride == 1 else F.max_pool1d(x, 3, stride, 1)
        x = skip * after[:, None] + state[f"{name}.drop_path_attn.scale"] * attended
        hidden = F.gelu(conv(f"{name}.mlp.0", norm(f"{name}.ln2", x)))
        out = conv(f"{name}.mlp.3", hidden) * after[:, None]
        return x + state[f"{name}.drop_path_mlp.scale"] * out, after

    def head(name: str, output: str, x: Tensor, mask: Tensor) -> Tensor:
        for index in (0, 1):
            x = norm(f"{name}.norm.{index}", conv(f"{name}.head.{index}.conv", x) * mask[:, None]).relu()
        return conv(f"{name}.{output}.conv", x) * mask[:, None]

    for index in (0, 1):
        x = norm(f"backbone.embd_norm.{index}", conv(f"backbone.embd.{index}.conv", x) * mask[:, None]).relu()
    if position is not None:
        x = x + position * mask[:, None]
    for index in (0, 1):
        x, mask = block(f"backbone.stem.{index}", x, mask, 1, windows[0])
    levels = [(x, mask)]
    for index in range(5):
        levels.append(block(f"backbone.branch.{index}", *levels[-1], 2, windows[1 + index]))
    logits, offsets = [], []
    for level, (x, mask) in enumerate(levels):
        x = norm(f"neck.fpn_norms.{level}", x)
        logits.append(head("cls_head", "cls_head", x, mask))
        offsets.append((head("reg_head", "offset_head", x, mask) * state[f"reg_head.scale.{level}.scale"]).relu())
    return logits, offsets, [mask for _, mask in levels]


def randomized(head: ActionFormer, seed: int = 0) -> ActionFormer:
    """Set weights with which every layer affects the output."""
    with torch.no_grad():
        for number, parameter in enumerate(head.parameters()):
            if parameter.ndim == 1:
                parameter.add_(0.3 * noise(*parameter.shape, seed=1000 * seed + number))
    return head.eval()


def small(**values: object) -> ActionFormer:
    torch.manual_seed(0)
    return randomized(ActionFormer(**{"channels": 5, "classes": 3, "width": 8, "length": 64, **values}))
