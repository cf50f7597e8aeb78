"""InternVideo2: the authors' fine-tuned checkpoints, with the sampling of published features.

Wang et al., "InternVideo2: Scaling Foundation Models for Multimodal Video Understanding", ECCV 2024. Network:
`InternVideo2/single_modality/models/internvideo2.py` in the authors' repository, github.com/OpenGVLab/InternVideo.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from sola.core.errors import SolaError
from sola.core.published import building, check_names, load_renamed, weights_and_biases
from sola.video.encoders.huggingface_families import IMAGENET
from sola.video.encoders.internvideo2_network import PATCH, InternVideo2Network
from sola.video.encoders.published_checkpoints import CLASSIFIER, SIDE, Checkpoint, PublishedEncoder, block_count

HEADS = {384: 6, 768: 12, 1024: 16, 1408: 16, 3200: 25}
"""Attention heads by number of channels, for S, B, L, 1B and 6B. All other sizes follow from the weights."""
FRAMES = (4, 8, 16)
"""Numbers of frames of the published position embeddings."""
GRID = (SIDE // PATCH) ** 2
"""Number of patches per frame."""

OUTER = {"patches": "patch_embed.proj", "pooling.output": "clip_projector.cross_attn.proj", "norm": "fc_norm"} | {
    f"pooling.{ours}_norm": f"clip_projector.norm1_{theirs}"
    for ours, theirs in {"query": "q", "key": "k", "value": "v"}.items()
}
"""Layers outside the blocks: the names here and in the authors' code."""
PROJECTIONS = {
    f"pooling.{ours}.{kind}": f"clip_projector.cross_attn.{theirs}{separator}{kind}"
    for ours, theirs in {"query": "q", "key": "k", "value": "v"}.items()
    for kind, separator in {"weight": ".", "bias": "_"}.items()
}
"""Weights and biases of the projections for pooling. The authors name the biases differently."""
BLOCK_LAYERS = {"0.layer.output": "attn.proj", "1.layer.inner": "mlp.fc1", "1.layer.outer": "mlp.fc2"}
BLOCK_WEIGHTS = {
    "0.norm.weight": "norm1.weight",
    "0.layer.projections.weight": "attn.qkv.weight",
    "0.layer.query_norm.weight": "attn.q_norm.weight",
    "0.layer.key_norm.weight": "attn.k_norm.weight",
    "0.scale": "ls1.gamma",
    "1.norm.weight": "norm2.weight",
    "1.scale": "ls2.gamma",
}
POSITIONS = {"pos_embed"}
SEPARATE_POSITIONS = {"pos_embed_spatial", "pos_embed_temporal", "pos_embed_cls"}
PRETRAINING = ("clip_decoder.", "final_clip_decoder.", "mae_decoder.", "vision_encoder.")
"""Prefixes of weights that only models without fine-tuning have."""


def has_internvideo2(names: Iterable[str]) -> bool:
    """Return True if weights with these names are from InternVideo2, at any stage of its training."""
    return any(name.removeprefix("vision_encoder.").startswith(("clip_projector.", "cls_token")) for name in names)


class InternVideo2Encoder(PublishedEncoder):
    """A frozen InternVideo2, as an `Encoder`. The feature is the input of the classifier: pooled, normalized tokens.

    The network reads evenly spaced frames of a window, as many as its weights have position embeddings for.

    Args:
        checkpoint: weights of a fine-tuned model.
        device: device of the model.
        window: frames per snippet; a multiple of the number of frames that the network reads.

    Raises:
        SolaError: if the weights are not fine-tuned InternVideo2 weights.
    """

    mean, deviation = IMAGENET["image_mean"], IMAGENET["image_std"]

    def __init__(self, checkpoint: Checkpoint, device: torch.device, *, window: int | None = None) -> None:
        place, weights = checkpoint.place, checkpoint.weights
        names = _names(place, weights)
        sizes = _sizes(place, weights)
        positions = _positions(place, weights, sizes["width"])
        frames = (len(positions) - 1) // GRID
        self.window = window or PublishedEncoder.window
        if self.window % frames:
            raise SolaError(f"{place}: a window of {window} frames; expected a multiple of {frames}")
        with (
            building(place, "InternVideo2"),
            torch.device("meta"),
        ):  # skips a slow random initialization
            network = InternVideo2Network(**sizes, tokens=len(positions))
        network = network.to_empty(device="cpu").eval().requires_grad_(False)
        state = {ours: weights[theirs] for ours, theirs in names.items()} | {"positions": positions}
        load_renamed(place, network, state, names)
        settings = {"encoder": "internvideo2", "window": self.window}
        super().__init__(checkpoint, network, sizes["channels"], device, settings, step=self.window // frames)


def _names(place: Path, weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the authors' name of each weight. Raises SolaError if a weight is missing or unexpected."""
    if any(name.startswith(PRETRAINING) for name in weights):
        raise SolaError(
            f"{place}: a model of pretraining, distillation or stage 2, which lacks the norm of features; expected a "
            "fine-tuned checkpoint, such as 1B_ft_k710_ft_k400_f16.pth or S14_ft_k710_f8/pytorch_model.bin"
        )
    names = weights_and_biases(OUTER) | PROJECTIONS | {"class_token": "cls_token"}
    inside = weights_and_biases(BLOCK_LAYERS) | BLOCK_WEIGHTS
    for block in range(block_count(weights)):
        names |= {
            f"layers.{2 * block + int(ours[0])}{ours[1:]}": f"blocks.{block}.{theirs}"
            for ours, theirs in inside.items()
        }
    positions = SEPARATE_POSITIONS if weights.keys() & SEPARATE_POSITIONS else POSITIONS
    check_names(place, weights.keys() - CLASSIFIER, positions.union(names.values()), "InternVideo2")
    return names


def _sizes(place: Path, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the sizes of the network, from the shapes of the weights."""
    patches, hidden, pooled = (
        tuple(weights[name].shape)
        for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight", "clip_projector.cross_attn.proj.weight")
    )
    if len(patches) != 5 or patches[0] not in HEADS or patches[1:] != (3, 1, PATCH, PATCH):
        raise SolaError(
            f"{place}: patch_embed.proj.weight is {list(patches)}; expected InternVideo2 of "
            f"{', '.join(map(str, HEADS))} channels, in patches of 1×{PATCH}×{PATCH}"
        )
    for name, shape in {"blocks.0.mlp.fc1.weight": hidden, "clip_projector.cross_attn.proj.weight": pooled}.items():
        if len(shape) != 2 or 0 in shape:
            raise SolaError(f"{place}: {name} is {list(shape)}; expected a matrix")
    return {
        "width": patches[0],
        "heads": HEADS[patches[0]],
        "hidden": hidden[0],
        "blocks": block_count(weights),
        "channels": pooled[0],
    }


def _positions(place: Path, weights: Mapping[str, Tensor], width: int) -> Tensor:
    """Return the position embeddings of the class token and all patches [tokens, width]."""
    expected = {
        "pos_embed": [(1, 1 + frames * GRID, width) for frames in FRAMES],
        "pos_embed_cls": [(1, 1, width)],
        "pos_embed_spatial": [(1, GRID, width)],
        "pos_embed_temporal": [(1, frames, width) for frames in FRAMES],
    }
    for name, shapes in expected.items():
        if name in weights and tuple(weights[name].shape) not in shapes:
            listed = " or ".join(str(list(shape)) for shape in shapes)
            raise SolaError(
                f"{place}: {name} is {list(weights[name].shape)}; expected {listed}, for frames of {SIDE}×{SIDE} pixels"
            )
    if "pos_embed" in weights:
        return weights["pos_embed"][0].float()
    first, patches, times = (weights[f"pos_embed_{part}"][0].float() for part in ("cls", "spatial", "temporal"))
    return torch.cat([first, (times[:, None] + patches).flatten(0, 1)])
