"""One video's features through a SoLa module, and what a manifest says of the module."""

import copy
import hashlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save

from sola.core.errors import SolaError
from sola.softlanding.network import SoLa

PIECE = 8192
"""Snippets that go through the convolutions at once: bounds the memory of long videos."""


@torch.inference_mode()
def transform_array(
    module: SoLa, features: Float[np.ndarray, "time channels"], piece: int = PIECE
) -> Float[np.ndarray, "time channels"]:
    """One whole video through the module, in its own dtype.

    Conditioning and smoothing see the whole video; the convolutions go over it in pieces of `piece` snippets that
    overlap by the module's reach (two snippets at kernel size 5), which gives what they give on the whole.

    Raises:
        SolaError: when the width is not the module's.
    """
    if features.shape[1] != module.channels:
        raise SolaError(f"the features have {features.shape[1]} channels, the module was trained on {module.channels}")
    exact = np.float64 if features.dtype == np.float64 else np.float32
    if exact is np.float64 and module.scale.dtype != torch.float64:
        module = copy.deepcopy(module).double()
    whole = torch.from_numpy(np.array(features, dtype=exact)).to(module.scale.device)[None]
    x = module.condition(whole, whole.mean(dim=1, keepdim=True))
    length, pieces = x.shape[1], []
    for start in range(0, length, piece):
        stop = min(start + piece, length)
        before, after = min(start, module.reach), min(length - stop, module.reach)
        adapted = module.adapt(x[:, start - before : stop + after])
        pieces.append(adapted[:, before : before + stop - start])
    y = module.smooth(torch.cat(pieces, dim=1))[0].cpu().numpy()
    with np.errstate(over="ignore"):  # whoever writes the result says which video did not fit
        return y.astype(features.dtype, copy=False)


def describe(module: SoLa) -> dict[str, Any]:
    """What a manifest says of the module that features went through: enough to rebuild it untrained, and to know it."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    return {
        **module.origin,
        "config": module.config(),
        "gate": module.gate_value(),
        "scale": float(module.scale),
        "fingerprint": hashlib.sha256(save(weights)).hexdigest(),
    }
