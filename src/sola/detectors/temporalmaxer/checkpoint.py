"""Load checkpoints of the authors' TemporalMaxer code."""

from collections.abc import Sequence
from pathlib import Path

from sola.core.published import building, check_names, published_weights
from sola.detectors.point_pyramid.checkpoint import OFFSET_HEADS, count, filled, published_names, scale_names
from sola.detectors.temporalmaxer.network import TemporalMaxer


def load(
    path: Path | str,
    *,
    length: int = 2304,
    ranges: Sequence[tuple[float, float]] | None = None,
    min_duration: float = 0.05,
    candidates: int = 2000,
) -> TemporalMaxer:
    """Load a checkpoint of the authors' code; the model has the same outputs and segments, and is in evaluation mode.

    Averaged weights (`state_dict_ema`) are used if there are any. The numbers of channels, classes and layers and the
    normalization come from the weights. A checkpoint with a single class is class-agnostic. The other defaults are the
    authors' values for THUMOS14.

    Raises:
        SolaError: if the file is not a checkpoint of the authors' code.
    """
    state = published_weights(path, ("state_dict_ema", "state_dict"))
    levels, convolutions = max(1, count(state, "reg_head.scale")), max(1, count(state, "backbone.embd"))
    normalized = count(state, "neck.fpn_norms")
    names = published_names(normalized and levels, convolutions, {}, OFFSET_HEADS, {}, {})
    check_names(path, state, [*names.values(), *scale_names(levels)], "TemporalMaxer's published program")
    first, hidden, last = (
        state[f"{name}.conv.weight"] for name in ("backbone.embd.0", "cls_head.head.0", "cls_head.cls_head")
    )
    with building(path, "TemporalMaxer"):
        model = TemporalMaxer(
            first.shape[1],
            None if len(last) == 1 else len(last),
            length=length,
            width=len(first),
            levels=levels,
            convolutions=convolutions,
            normalization="layer" if normalized else "clip",
            head_width=len(hidden),
            ranges=ranges,
            min_duration=min_duration,
            candidates=candidates,
        )
    return filled(path, model, state, names, levels)
