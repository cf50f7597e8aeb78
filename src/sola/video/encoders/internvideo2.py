"""InternVideo2: the authors' fine-tuned checkpoints, with clips as long and as dense as those of published features.

Wang et al., "InternVideo2: Scaling Foundation Models for Multimodal Video Understanding", ECCV 2024; the network is
`InternVideo2/single_modality/models/internvideo2.py` in the authors' repository, github.com/OpenGVLab/InternVideo.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sola.core.errors import SolaError
from sola.core.published import building, check_names, load_renamed, weights_and_biases
from sola.video.encoders.huggingface_families import IMAGENET
from sola.video.encoders.internvideo2_network import PATCH, InternVideo2Network
from sola.video.encoders.published_checkpoints import SIDE, Checkpoint, PublishedEncoder

HEADS = {384: 6, 768: 12, 1024: 16, 1408: 16, 3200: 25}
"""Attention heads by channels, of S, B, L, 1B and 6B. Weights show all other sizes."""
FRAMES = (4, 8, 16)
"""Numbers of frames that published weights have positions for."""
GRID = (SIDE // PATCH) ** 2
"""Patches of a frame."""

OUTER = {"patches": "patch_embed.proj", "pooling.output": "clip_projector.cross_attn.proj", "norm": "fc_norm"} | {
    f"pooling.{ours}_norm": f"clip_projector.norm1_{theirs}"
    for ours, theirs in {"query": "q", "key": "k", "value": "v"}.items()
}
"""Layers outside the blocks, ours and the authors'."""
PROJECTIONS = {
    f"pooling.{ours}.{kind}": f"clip_projector.cross_attn.{theirs}{separator}{kind}"
    for ours, theirs in {"query": "q", "key": "k", "value": "v"}.items()
    for kind, separator in {"weight": ".", "bias": "_"}.items()
}
"""Weights of the pooling's projections, whose biases have names of their own."""
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
CLASSIFIER = {"head.weight", "head.bias"}
"""Weights that make no feature."""
POSITIONS = {"pos_embed"}
SEPARATE_POSITIONS = {"pos_embed_spatial", "pos_embed_temporal", "pos_embed_cls"}
PRETRAINING = ("clip_decoder.", "final_clip_decoder.", "mae_decoder.", "vision_encoder.")
"""Beginnings of the names of weights that only models have that were not fine-tuned."""


def is_internvideo2(config: Mapping[str, Any]) -> bool:
    """Return whether a config.json of the hub is that of InternVideo2, which `transformers` does not have."""
    return any("internvideo2" in str(config.get(key)).lower() for key in ("model_type", "architectures"))


def has_internvideo2(names: Iterable[str]) -> bool:
    """Return whether weights with these names are those of InternVideo2, at any stage of its training."""
    return any(name.removeprefix("vision_encoder.").startswith(("clip_projector.", "cls_token")) for name in names)


class InternVideo2Encoder(PublishedEncoder):
    """A frozen InternVideo2, as an `Encoder`: the pooled tokens, normalized, as its classifier reads them.

    The network sees as many frames of a window as its weights have positions for, evenly spaced.

    Args:
        checkpoint: weights of a fine-tuned model.
        device: device of the model.
        window: frames per snippet; a multiple of the frames that the network sees.

    Raises:
        SolaError: if the weights are not those of InternVideo2, or not fine-tuned.
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
        with building(place, "InternVideo2"), torch.device("meta"):  # no initial weights, which take a minute at 6B
            network = InternVideo2Network(**sizes, tokens=len(positions))
        network = network.to_empty(device="cpu").eval().requires_grad_(False)
        state = {ours: weights[theirs] for ours, theirs in names.items()} | {"positions": positions}
        load_renamed(place, network, state, names)
        settings = {"encoder": "internvideo2", "window": self.window}
        super().__init__(checkpoint, network, sizes["channels"], device, settings, step=self.window // frames)


def _names(place: Path, weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Return our names of the weights and the authors'. Raises SolaError if a name is missing or unexpected."""
    if any(name.startswith(PRETRAINING) for name in weights):
        raise SolaError(
            f"{place}: a model of pretraining, distillation or stage 2, which lacks the norm of features; expected a "
            "fine-tuned checkpoint, such as 1B_ft_k710_ft_k400_f16.pth or S14_ft_k710_f8/pytorch_model.bin"
        )
    names = weights_and_biases(OUTER) | PROJECTIONS | {"class_token": "cls_token"}
    for block in range(_blocks(weights)):
        inside = weights_and_biases(BLOCK_LAYERS) | BLOCK_WEIGHTS
        names |= {
            f"layers.{2 * block + int(ours[0])}{ours[1:]}": f"blocks.{block}.{theirs}"
            for ours, theirs in inside.items()
        }
    positions = SEPARATE_POSITIONS if weights.keys() & SEPARATE_POSITIONS else POSITIONS
    check_names(place, weights.keys() - CLASSIFIER, positions.union(names.values()), "InternVideo2")
    return names


def _blocks(weights: Mapping[str, Tensor]) -> int:
    return max(1, len({name.split(".")[1] for name in weights if name.startswith("blocks.")}))


def _sizes(place: Path, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the sizes of the network that the shapes of weights show."""
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
        "blocks": _blocks(weights),
        "channels": pooled[0],
    }


def _positions(place: Path, weights: Mapping[str, Tensor], width: int) -> Tensor:
    """Return the positions of the class token and of all patches, [tokens, width]."""
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
