"""Weight names shared by the authors' code of ActionFormer, TriDet and TemporalMaxer."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from sola.core.errors import SolaError
from sola.core.published import load_renamed, weights_and_biases
from sola.detectors.point_pyramid.detector import PointDetector

Filled = TypeVar("Filled", bound=PointDetector)

Head = tuple[str, str, str]
"""Name of output layers in this package, and the published names of their list and of their last convolution."""
OFFSET_HEADS: Sequence[Head] = (("classifier", "cls_head", "cls_head"), ("regressor", "reg_head", "offset_head"))
"""Output layers of an `OffsetDetector`."""


def published_names(
    levels: int,
    convolutions: int,
    blocks: Mapping[str, int],
    heads: Sequence[Head],
    in_block: Mapping[str, str],
    in_block_weights: Mapping[str, str],
) -> dict[str, str]:
    """Return the published name of each weight, by name in this package, except those of the offset scales.

    Args:
        levels: number of levels of the pyramid.
        convolutions: number of convolutions before the blocks.
        blocks: number of blocks of "stem" and "branch".
        heads: output layers.
        in_block: published name of each layer with a bias in a block, by name in this package.
        in_block_weights: published name of each single weight in a block, by name in this package.
    """
    layers = {f"norms.{level}": f"neck.fpn_norms.{level}" for level in range(levels)}
    single = {}
    for index in range(convolutions):
        single[f"backbone.convolutions.{index}.weight"] = f"backbone.embd.{index}.conv.weight"
        layers[f"backbone.norms.{index}"] = f"backbone.embd_norm.{index}"
    for block in (f"backbone.{part}.{index}" for part, count in blocks.items() for index in range(count)):
        layers |= {f"{block}.{name}": f"{block}.{published}" for name, published in in_block.items()}
        single |= {f"{block}.{name}": f"{block}.{published}" for name, published in in_block_weights.items()}
    for name, published, output in heads:
        for index in range(2):
            single[f"{name}.convolutions.{index}.weight"] = f"{published}.head.{index}.conv.weight"
            layers[f"{name}.norms.{index}"] = f"{published}.norm.{index}"
        layers[f"{name}.convolutions.2"] = f"{published}.{output}.conv"
    return weights_and_biases(layers) | single


def filled(
    path: Path | str, model: Filled, state: Mapping[str, Tensor], names: Mapping[str, str], levels: int
) -> Filled:
    """Load published weights with the names of `published_names`, and return the model in evaluation mode.

    Raises:
        SolaError: if a weight has the wrong shape.
    """
    weights = {
        **{name: state[published] for name, published in names.items()},
        "offset_scale": offset_scales(path, state, levels),
        "criterion.normalizer": model.criterion.normalizer,  # not saved by the authors
    }
    load_renamed(path, model, weights, names)
    return model.eval()


def offset_scales(path: Path | str, state: Mapping[str, Tensor], levels: int) -> Tensor:
    """Return the offset scale of each level. Raises SolaError if a scale is not a single number."""
    scales = [state[name] for name in scale_names(levels)]
    if any(scale.numel() != 1 for scale in scales):
        raise SolaError(f"{path}: reg_head.scale has more than one number per level; expected one")
    return torch.stack([scale.reshape(()) for scale in scales])


def scale_names(levels: int) -> list[str]:
    """Return the published names of the offset scales."""
    return [f"reg_head.scale.{level}.scale" for level in range(levels)]


def count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of layers in a published list of layers."""
    matches = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in matches if match), default=-1)
