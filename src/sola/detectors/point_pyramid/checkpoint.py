"""Names of weights that the authors' programs of ActionFormer, TriDet and TemporalMaxer share."""

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
"""Our name of output layers, and the published names of their list and their last convolution."""
OFFSET_HEADS: Sequence[Head] = (("classifier", "cls_head", "cls_head"), ("regressor", "reg_head", "offset_head"))
"""Those of an `OffsetDetector`."""


def published_names(
    levels: int,
    convolutions: int,
    blocks: Mapping[str, int],
    heads: Sequence[Head],
    in_block: Mapping[str, str],
    in_block_weights: Mapping[str, str],
) -> dict[str, str]:
    """Return the published name of each weight, by our name, but for the scales of the offsets.

    `blocks` has the number of blocks of "stem" and "branch". `in_block` has the published names of a block's layers
    with a bias, by ours, and `in_block_weights` those of its single weights.
    """
    layers = {f"norms.{level}": f"neck.fpn_norms.{level}" for level in range(levels)}
    single = {}
    for index in range(convolutions):
        single[f"backbone.convolutions.{index}.weight"] = f"backbone.embd.{index}.conv.weight"
        layers[f"backbone.norms.{index}"] = f"backbone.embd_norm.{index}"
    for block in (f"backbone.{part}.{index}" for part, count in blocks.items() for index in range(count)):
        layers |= {f"{block}.{ours}": f"{block}.{theirs}" for ours, theirs in in_block.items()}
        single |= {f"{block}.{ours}": f"{block}.{theirs}" for ours, theirs in in_block_weights.items()}
    for ours, theirs, output in heads:
        for index in range(2):
            single[f"{ours}.convolutions.{index}.weight"] = f"{theirs}.head.{index}.conv.weight"
            layers[f"{ours}.norms.{index}"] = f"{theirs}.norm.{index}"
        layers[f"{ours}.convolutions.2"] = f"{theirs}.{output}.conv"
    return weights_and_biases(layers) | single


def filled(
    path: Path | str, model: Filled, state: Mapping[str, Tensor], names: Mapping[str, str], levels: int
) -> Filled:
    """Load published weights, whose names are those of `published_names`, and return the model in evaluation mode.

    Raises SolaError for a weight of another shape.
    """
    weights = {
        **{ours: state[theirs] for ours, theirs in names.items()},
        "offset_scale": offset_scales(path, state, levels),
        "criterion.normalizer": model.criterion.normalizer,  # which the authors do not save
    }
    load_renamed(path, model, weights, names)
    return model.eval()


def offset_scales(path: Path | str, state: Mapping[str, Tensor], levels: int) -> Tensor:
    """Return the scale of each level's offsets; raises SolaError unless each is one number."""
    scales = [state[name] for name in scale_names(levels)]
    if any(scale.numel() != 1 for scale in scales):
        raise SolaError(f"{path}: reg_head.scale holds more than one number a level; expected one")
    return torch.stack([scale.reshape(()) for scale in scales])


def scale_names(levels: int) -> list[str]:
    """Return the published names of the scales of the offsets."""
    return [f"reg_head.scale.{level}.scale" for level in range(levels)]


def count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of layers in a published list."""
    found = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in found if match), default=-1)
