"""FeatureSet × SoLa → FeatureSet, in the layout it came in."""

import copy
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save

from sola.core.errors import SolaError
from sola.data.feature_writer import FeatureWriter
from sola.data.features import FeatureSet
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


def transform(
    module: SoLa,
    features: FeatureSet,
    out: Path,
    *,
    overwrite: bool = False,
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FeatureSet:
    """Write every video of `features` through `module` to the folder `out`, file names and format kept.

    The folder appears when it is whole: until then the videos gather beside it, and a transform that was stopped goes
    on with those that are missing. The manifest written last is the input's, with what the features went through.

    Args:
        module: a trained module.
        features: per-video arrays [time, channels].
        out: a folder that does not exist yet.
        overwrite: replace `out`.
        skipped: gets the reasons why videos with bad files were left out, by id, if the features skip them.
        progress: called with (videos done, videos in all).

    Returns:
        The features in `out`.

    Raises:
        SolaError: when `out` exists, cannot be written, or the features are bad or of another width.
    """
    if features.channels != module.channels:
        raise SolaError(
            f"the features have {features.channels} channels, the module was trained on {module.channels}; "
            "transform the features that it was trained for"
        )
    description = describe(module)
    if features.manifest.sola is not None:  # what they had gone through already
        description["after"] = dict(features.manifest.sola)
    manifest = dataclasses.replace(features.manifest, dim=features.channels, sola=description)
    with FeatureWriter(features, out, manifest, overwrite=overwrite) as writer:
        missing = features.only(video for video in features.videos if not writer.has(video))
        there, total = len(features.videos) - len(missing.videos), len(features.videos)
        for done, (video, array) in enumerate(missing.items(skipped), start=there + 1):
            writer.write(video, transform_array(module, array))
            progress(done, total)
    return FeatureSet.open(out)


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
