"""Network of InternVideo2 without its classifier, in plain PyTorch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 14
"""Side length of a patch (pixels). A patch covers one frame."""
EPSILON = 1e-6
"""Epsilon of RMS normalization in blocks."""
POOL_HEADS = 16
"""Number of attention heads of the pooling, for every model size."""


def attend(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Float[Tensor, "batch queries channels"]:
    """Return the output of multi-head attention for queries, keys and values of shape [batch, tokens, channels]."""
    queries, keys, values = (each.view(*each.shape[:2], heads, -1).transpose(1, 2) for each in (queries, keys, values))
    return F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Self-attention with queries and keys normalized over all heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projections = nn.Linear(width, 3 * width, bias=False)
        self.query_norm, self.key_norm = nn.RMSNorm(width, eps=EPSILON), nn.RMSNorm(width, eps=EPSILON)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Return the output of the layer."""
        queries, keys, values = self.projections(tokens).chunk(3, dim=-1)
        output: Tensor = self.output(attend(self.query_norm(queries), self.key_norm(keys), values, self.heads))
        return output


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them.

    GELU is the tanh approximation, like that of flash-attn's `FusedMLP`, with which all published models were trained.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Return the output of the layers."""
        output: Tensor = self.outer(F.gelu(self.inner(tokens), approximate="tanh"))
        return output


class Residual(nn.Module):
    """Residual connection around a layer, with pre-normalization and a scale per channel (LayerScale)."""

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.layer = nn.RMSNorm(width, eps=EPSILON), layer
        self.scale = nn.Parameter(torch.empty(width))

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Return the sum of the tokens and the output of the layer."""
        change: Tensor = self.layer(self.norm(tokens))
        return tokens + self.scale * change


class AttentionPooling(nn.Module):
    """Attention pooling of all tokens into one vector. The query is the mean of the tokens."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.query_norm, self.key_norm, self.value_norm = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.output = nn.Linear(width, channels)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch channels"]:
        """Return the pooled vector."""
        pooled = attend(
            self.query(self.query_norm(tokens.mean(1, keepdim=True))),
            self.key(self.key_norm(tokens)),
            self.value(self.value_norm(tokens)),
            POOL_HEADS,
        )
        output: Tensor = self.output(pooled.squeeze(1))
        return output


class InternVideo2Network(nn.Module):
    """InternVideo2 without its classifier.

    Args:
        width: number of channels of a token.
        heads: number of attention heads per block.
        hidden: number of hidden channels of the perceptron in a block.
        blocks: number of blocks.
        tokens: number of tokens, including the class token.
        channels: number of channels of a feature.
    """

    def __init__(self, *, width: int, heads: int, hidden: int, blocks: int, tokens: int, channels: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(tokens, width))
        layers = (layer for _ in range(blocks) for layer in (SelfAttention(width, heads), Perceptron(width, hidden)))
        self.layers = nn.Sequential(*(Residual(width, layer) for layer in layers))
        self.pooling = AttentionPooling(width, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature per window of normalized frames."""
        patches = self.patches(frames.flatten(0, 1)).flatten(2).transpose(1, 2)  # [batch * window, patches, width]
        tokens = patches.unflatten(0, frames.shape[:2]).flatten(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), 1, -1), tokens], dim=1)
        feature: Tensor = self.norm(self.pooling(self.layers(tokens + self.positions)))
        return feature
