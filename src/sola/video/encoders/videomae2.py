"""VideoMAE V2 (Wang et al., CVPR 2023) from the authors' checkpoints, or their copies on the Hugging Face hub.

The network is VideoMAE's of `transformers`, with weights renamed: the authors' code is not needed, and none is fetched.
A feature is the mean of the tokens, normalized: `forward_features` of their `modeling_finetune.py`.
"""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sola.core.errors import SolaError
from sola.video.encoders.huggingface_families import VideoTower
from sola.video.encoders.huggingface_preprocessing import Preprocessing
from sola.video.framing import Framing

SUFFIXES = (".pth", ".pt", ".safetensors")
"""Suffixes of files with weights."""
ENTRIES = ("model", "module")
"""Entries of a checkpoint that may hold the weights, in the order of the authors' program."""
WINDOW, STRIDE, FPS = 16, 4, 30.0
"""Frames of a snippet, frames between two, and frames per second, as in the published features of THUMOS14."""
SIDE = 224
"""Side of a frame (pixels)."""
HEADS: Mapping[int, int] = {384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
"""Attention heads by width: ViT-S, B, L, H and g."""
EPSILON = 1e-6
"""Of all normalizations."""
PREPROCESSING = Preprocessing(Framing(SIDE, SIDE, interpolation="bilinear"), 1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Whole frames, resized, with colors from 0 to 1: that of the authors' `extract_tad_feature.py`."""
IN_LAYER: Mapping[str, str] = {
    "norm1.weight": "layernorm_before.weight",
    "norm1.bias": "layernorm_before.bias",
    "norm2.weight": "layernorm_after.weight",
    "norm2.bias": "layernorm_after.bias",
    "attn.proj.weight": "attention.output.dense.weight",
    "attn.proj.bias": "attention.output.dense.bias",
    "mlp.fc1.weight": "intermediate.dense.weight",
    "mlp.fc1.bias": "intermediate.dense.bias",
    "mlp.fc2.weight": "output.dense.weight",
    "mlp.fc2.bias": "output.dense.bias",
}
"""Names of a layer's weights in `transformers`, by the authors'."""
PATCHES: Mapping[str, str] = {
    f"patch_embed.proj.{kind}": f"embeddings.patch_embeddings.projection.{kind}" for kind in ("weight", "bias")
}
"""Names of the weights of the patch embedding in `transformers`, by the authors'."""
UNUSED = re.compile(r"head\.|pos_embed$|(fc_norm|norm)\.")
"""Weights outside of the encoder; the normalization is loaded separately."""


def is_videomae2(record: Any) -> bool:
    """Return whether the config of a model on the hub is that of VideoMAE V2."""
    return (
        isinstance(record, Mapping) and "videomaev2" in f"{record.get('model_type')} {record.get('auto_map')}".lower()
    )


def load_videomae2(path: Path, window: int | None = None) -> VideoTower:
    """Load the encoder of a checkpoint of VideoMAE V2 that was trained to classify, in evaluation mode.

    Raises SolaError when the file is no such checkpoint, when `window` is not its 16 frames, or when `transformers` is
    not installed.
    """
    if window not in (None, WINDOW):
        raise SolaError(f"{path}: a window of {window} frames; expected its {WINDOW}")
    weights = _weights(path)
    if any(name.startswith(("encoder.", "decoder.", "mask_token")) for name in weights):
        raise SolaError(
            f"{path}: is a pretraining checkpoint of a masked autoencoder; expected one that was trained to classify, "
            "such as vit_g_hybrid_pt_1200e_k710_ft.pth"
        )
    depth = 1 + max((int(found[1]) for name in weights if (found := re.match(r"blocks\.(\d+)\.", name))), default=-1)
    try:
        patches, hidden = weights["patch_embed.proj.weight"], weights["blocks.0.mlp.fc1.weight"]
    except KeyError as error:
        raise SolaError(f"{path}: lacks {error.args[0]}; expected a checkpoint of VideoMAE V2") from None
    width = len(patches)
    if patches.ndim != 5 or width not in HEADS:
        known = ", ".join(map(str, HEADS))
        raise SolaError(f"{path}: a patch embedding of shape {list(patches.shape)}; expected one of {known} channels")
    try:  # by name, since its types take mypy a minute
        transformers: Any = importlib.import_module("transformers")
    except ImportError:
        raise SolaError("transformers is not installed; pip install -c constraints.txt 'sola-tal[video]'") from None
    model = transformers.VideoMAEModel(
        transformers.VideoMAEConfig(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=HEADS[width],
            intermediate_size=len(hidden),
            image_size=SIDE,
            patch_size=patches.shape[-1],
            num_frames=WINDOW,
            tubelet_size=patches.shape[2],
            layer_norm_eps=EPSILON,
            use_mean_pooling=True,
        )
    )
    norm = nn.LayerNorm(width, EPSILON)
    _fill(path, model, _renamed(weights, depth, model.state_dict()))
    _fill(path, norm, {name.removeprefix("fc_norm."): one for name, one in weights.items() if "fc_norm." in name})
    return VideoTower(model, norm=norm).eval().requires_grad_(False)


def _weights(path: Path) -> dict[str, Tensor]:
    """Read weights without the prefixes of wrappers; nothing but tensors is unpickled."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SolaError(f"{path}: cannot be read ({error.strerror or error}); expected a checkpoint") from None
    except Exception:  # a damaged archive can raise nearly anything
        raise SolaError(
            f"{path}: not a checkpoint, or one that holds more than weights; nothing else is unpickled"
        ) from None
    if isinstance(found, Mapping):
        entry = next((name for name in ENTRIES if isinstance(found.get(name), Mapping)), None)
        found = found[entry] if entry else found
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise SolaError(f"{path}: expected weights by name, alone or under {' or '.join(map(repr, ENTRIES))}")
    return {re.sub(r"^(module\.|model\.)+", "", name): value for name, value in found.items()}


def _renamed(weights: Mapping[str, Tensor], depth: int, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the encoder under the names of `transformers`; unknown ones keep theirs."""
    names = {
        **PATCHES,
        **{
            f"blocks.{layer}.{theirs}": f"encoder.layer.{layer}.{ours}"
            for layer in range(depth)
            for theirs, ours in IN_LAYER.items()
        },
    }
    found = {}
    for name, value in weights.items():
        if UNUSED.match(name):
            continue
        if part := re.fullmatch(r"blocks\.(\d+)\.attn\.(qkv\.weight|q_bias|v_bias)", name):
            attention = f"encoder.layer.{part[1]}.attention.attention"
            if part[2] == "qkv.weight":
                for kind, weight in zip(("query", "key", "value"), value.chunk(3), strict=True):
                    found[f"{attention}.{kind}.weight"] = weight
            else:
                new = f"{attention}.{'query' if part[2] == 'q_bias' else 'value'}.bias"
                # transformers 4 has the authors' names here
                found[new if new in expected else f"{attention}.{part[2]}"] = value
        else:
            found[names.get(name, name)] = value
    return found


def _fill(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load all weights of a module; raises SolaError for one that is missing, unknown, or of another shape."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    for name in sorted(shapes.keys() ^ weights.keys()):
        kind = "lacks" if name in shapes else "has the unexpected"
        raise SolaError(f"{path}: {kind} {name}; expected a checkpoint of VideoMAE V2 that was trained to classify")
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise SolaError(f"{path}: {name} is {list(weights[name].shape)}; expected {list(shape)}")
    module.load_state_dict({name: value.float() for name, value in weights.items()})
