"""Load checkpoints of the authors' ActionFormer code."""

from collections.abc import Sequence
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.published import building, check_names, published_weights
from sola.detectors.actionformer.network import THUMOS_WINDOWS, ActionFormer
from sola.detectors.point_pyramid.checkpoint import OFFSET_HEADS, count, filled, published_names, scale_names

ACTIVITYNET_WIDTH, ACTIVITYNET_LENGTH, ACTIVITYNET_WINDOWS = 256, 192, (7, 7, 7, 7, 7, None)
IN_BLOCK = {
    "attention_norm": "ln1",
    "query.norm": "attn.query_norm",
    "key.norm": "attn.key_norm",
    "value.norm": "attn.value_norm",
    "query.linear": "attn.query",
    "key.linear": "attn.key",
    "value.linear": "attn.value",
    "projection": "attn.proj",
    "perceptron_norm": "ln2",
    "expansion": "mlp.0",
    "contraction": "mlp.3",
}
"""Published name of each layer with a bias in a block, by name in this package."""
IN_BLOCK_WEIGHTS = {
    "query.convolution.weight": "attn.query_conv.conv.weight",
    "key.convolution.weight": "attn.key_conv.conv.weight",
    "value.convolution.weight": "attn.value_conv.conv.weight",
    "attention_scale": "drop_path_attn.scale",
    "perceptron_scale": "drop_path_mlp.scale",
}
"""Published name of each single weight in a block, by name in this package."""


def load(
    path: Path | str,
    *,
    length: int | None = None,
    windows: Sequence[int | None] | None = None,
    heads: int = 4,
    absolute_position: bool | None = None,
    ranges: Sequence[tuple[float, float]] | None = None,
    min_duration: float | None = None,
) -> ActionFormer:
    """Load a checkpoint of the authors' code; the model has the same outputs and segments, and is in evaluation mode.

    Averaged weights (`state_dict_ema`) are used if there are any. The numbers of channels, classes and layers come from
    the weights. A checkpoint with a single class is class-agnostic. The other defaults are the authors' values: those
    for ActivityNet if the width is 256, otherwise those for THUMOS14.

    Raises:
        SolaError: if the file is not a checkpoint of the authors' code.
    """
    state = published_weights(path, ("state_dict_ema", "state_dict"))
    levels, convolutions = max(1, count(state, "neck.fpn_norms")), max(1, count(state, "backbone.embd"))
    stem = count(state, "backbone.stem")
    blocks = {"stem": stem, "branch": levels - 1}
    names = published_names(levels, convolutions, blocks, OFFSET_HEADS, IN_BLOCK, IN_BLOCK_WEIGHTS)
    check_names(path, state, [*names.values(), *scale_names(levels)], "ActionFormer's published program")
    first, hidden, last = (
        state[f"{name}.conv.weight"] for name in ("backbone.embd.0", "cls_head.head.0", "cls_head.cls_head")
    )
    activitynet = len(first) == ACTIVITYNET_WIDTH
    if windows is None:
        windows = ACTIVITYNET_WINDOWS if activitynet else THUMOS_WINDOWS
    if len(windows) != levels:
        raise SolaError(f"{path}: the pyramid has {levels} levels; pass {levels} windows, not {len(windows)}")
    with building(path, "ActionFormer"):
        model = ActionFormer(
            first.shape[1],
            None if len(last) == 1 else len(last),
            length=length or (ACTIVITYNET_LENGTH if activitynet else 2304),
            width=len(first),
            windows=windows,
            heads=heads,
            convolutions=convolutions,
            stem=stem,
            head_width=len(hidden),
            absolute_position=activitynet if absolute_position is None else absolute_position,
            ranges=ranges,
            min_duration=(0.001 if activitynet else 0.05) if min_duration is None else min_duration,
        )
    return filled(path, model, state, names, levels)
