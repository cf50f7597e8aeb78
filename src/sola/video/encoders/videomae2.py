"""VideoMAE V2: the authors' checkpoints, on the hub or as .pth files, with the sampling of their published features.

Wang et al., "VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking", CVPR 2023. THUMOS14 features:
`extract_tad_feature.py` in the authors' repository, github.com/OpenGVLab/VideoMAEv2.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sola.core.errors import SolaError
from sola.core.published import check_names, load_renamed, weights_and_biases
from sola.video.encoders.huggingface_families import VideoTower
from sola.video.encoders.huggingface_folders import ModelFolder
from sola.video.encoders.published_checkpoints import CLASSIFIER, SIDE, Checkpoint, PublishedEncoder, block_count
from sola.video.encoders.transformers_models import LOADING, check_loaded, loading, missing_weights, transformers_class

WINDOW = PublishedEncoder.window
EPSILON = 1e-6
"""Epsilon of layer normalization."""
PATCHES = ((3, 2, 16, 16), (3, 2, 14, 14))
"""Colors, frames, height and width of a patch. ViT-g has the second shape."""
HEADS = {384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
"""Attention heads by number of channels, for ViT-S, B, L, H and g. All other sizes follow from the weights."""

EMBEDDING = {"embeddings.patch_embeddings.projection": "patch_embed.proj"}
BLOCK = {
    "layernorm_before": "norm1",
    "attention.output.dense": "attn.proj",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
"""Names of the layers of a block in `transformers`, and in the authors' code."""
NORM = {"weight": "fc_norm.weight", "bias": "fc_norm.bias"}
DECODER = ("decoder.", "encoder_to_decoder.", "mask_token")
"""Prefixes of weights used only in pretraining."""
CONFIG = {
    "img_size": SIDE,
    "num_frames": WINDOW,
    "layer_norm_eps": EPSILON,
    "use_learnable_pos_emb": False,
    "use_mean_pooling": True,
    "cos_attn": False,
}
"""Required `model_config` settings of a hub model that do not follow from the weights."""


class VideoMAE2Encoder(PublishedEncoder):
    """A frozen VideoMAE V2, as an `Encoder`. The feature is the mean of the tokens after the norm.

    Pixels are scaled to [0, 1], without color normalization.

    Args:
        checkpoint: weights of a fine-tuned or distilled model.
        device: device of the model.
        window: frames per snippet; must be 16 if given.

    Raises:
        SolaError: if the weights are not fine-tuned VideoMAE V2 weights, or if `transformers` is not installed.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, *, window: int | None = None) -> None:
        if window not in (None, WINDOW):
            raise SolaError(f"{checkpoint.place}: a window of {window} frames; expected {WINDOW}")
        tower = _tower(checkpoint.place, checkpoint.weights)
        super().__init__(checkpoint, tower, tower.dim, device, {"encoder": "videomae2"})


def check_config(model: ModelFolder) -> None:
    """Raise SolaError if the config of a hub model has unsupported settings."""
    stated = model.config.get("model_config")
    for key, expected in CONFIG.items():
        if isinstance(stated, Mapping) and stated.get(key, expected) != expected:
            raise SolaError(
                f"{model.path / 'config.json'}: {key} {stated[key]!r} is not supported; expected {expected!r}"
            )


def _tower(place: Path, weights: Mapping[str, Tensor]) -> VideoTower:
    """Return the feature network for weights under the authors' names, in evaluation mode."""
    if any(name.startswith(DECODER) for name in weights):
        raise SolaError(
            f"{place}: a pretraining checkpoint, which lacks the feature norm; expected a fine-tuned or distilled "
            "checkpoint, such as vit_g_hybrid_pt_1200e_k710_ft.pth or vit_b_k710_dl_from_giant.pth"
        )
    blocks = block_count(weights)
    layers = EMBEDDING | {
        f"encoder.layer.{block}.{name}": f"blocks.{block}.{published}"
        for block in range(blocks)
        for name, published in BLOCK.items()
    }
    names = weights_and_biases(layers)
    attention = {
        f"blocks.{block}.attn.{name}" for block in range(blocks) for name in ("qkv.weight", "q_bias", "v_bias")
    }
    check_names(place, weights.keys() - CLASSIFIER, attention.union(names.values(), NORM.values()), "VideoMAE V2")
    config = _config(place, weights, blocks)
    state = {name: weights[published] for name, published in names.items()}
    for block in range(blocks):
        published, prefix = f"blocks.{block}.attn", f"encoder.layer.{block}.attention.attention"
        queries, keys, values = _thirds(place, f"{published}.qkv.weight", weights, config.hidden_size)
        state |= {f"{prefix}.query.weight": queries, f"{prefix}.key.weight": keys, f"{prefix}.value.weight": values}
        state |= {f"{prefix}.{name}": weights[f"{published}.{name}"] for name in ("q_bias", "v_bias")}
    architecture = transformers_class("VideoMAEModel")
    with loading(place):
        network, report = architecture.from_pretrained(None, config=config, state_dict=state, **LOADING)
    check_loaded(place, missing_weights(report))
    norm = nn.LayerNorm(config.hidden_size, eps=EPSILON)
    load_renamed(place, norm, {name: weights[published] for name, published in NORM.items()}, NORM)
    return VideoTower(network, norm=norm).eval().requires_grad_(False)


def _config(place: Path, weights: Mapping[str, Tensor], blocks: int) -> Any:
    """Return the `transformers` config that matches the weight shapes."""
    patches, hidden = weights["patch_embed.proj.weight"].shape, weights["blocks.0.mlp.fc1.weight"].shape
    if len(patches) != 5 or patches[0] not in HEADS or patches[1:] not in PATCHES or len(hidden) != 2:
        raise SolaError(
            f"{place}: patch_embed.proj.weight is {list(patches)}, blocks.0.mlp.fc1.weight {list(hidden)}; "
            f"expected VideoMAE V2 with {', '.join(map(str, HEADS))} channels and patches of 2×16×16 or 2×14×14"
        )
    with loading(place):
        return transformers_class("VideoMAEConfig")(
            image_size=SIDE,
            patch_size=patches[-1],
            num_frames=WINDOW,
            tubelet_size=patches[2],
            hidden_size=patches[0],
            num_hidden_layers=blocks,
            num_attention_heads=HEADS[patches[0]],
            intermediate_size=hidden[0],
            layer_norm_eps=EPSILON,
            use_mean_pooling=True,
        )


def _thirds(place: Path, name: str, weights: Mapping[str, Tensor], width: int) -> tuple[Tensor, ...]:
    """Return the query, key and value weights."""
    if weights[name].shape != (3 * width, width):
        raise SolaError(f"{place}: {name} is {list(weights[name].shape)}; expected {[3 * width, width]}")
    return weights[name].chunk(3)
