"""Load checkpoints of the authors' TriDet code."""

from collections.abc import Sequence
from pathlib import Path

from sola.core.errors import SolaError
from sola.core.published import building, check_names, published_weights
from sola.detectors.point_pyramid.checkpoint import Head, count, filled, published_names, scale_names
from sola.detectors.tridet.network import TriDet

HEADS: Sequence[Head] = (
    ("classifier", "cls_head", "cls_head"),
    ("start_classifier", "start_head", "cls_head"),
    ("end_classifier", "end_head", "cls_head"),
    ("regressor", "reg_head", "offset_head"),
)
IN_BLOCK = {
    "norm": "ln",
    "perceptron_norm": "gn",
    "gate": "psi",
    "instant": "fc",
    "narrow": "convw",
    "wide": "convkw",
    "mean": "global_fc",
    "expansion": "mlp.0",
    "contraction": "mlp.2",
}
"""Published name of each layer in a block, by name in this package."""
SCALES = {"branch_scale": "drop_path_out.scale", "perceptron_scale": "drop_path_mlp.scale"}
"""Published name of each scale in a block of the branch, by name in this package."""


def load(
    path: Path | str,
    *,
    length: int = 2304,
    absolute_position: bool = False,
    ranges: Sequence[tuple[float, float]] | None = None,
    min_duration: float = 0.05,
    candidates: int = 2000,
) -> TriDet:
    """Load a checkpoint of the authors' code; the model has the same outputs and segments, and is in evaluation mode.

    Averaged weights (`state_dict_ema`) are used if there are any. The numbers of channels, classes, layers and bins and
    the windows come from the weights. A checkpoint with a single class is class-agnostic. The other defaults are the
    authors' values for THUMOS14.

    Raises:
        SolaError: if the file is not a checkpoint of the authors' code.
    """
    state = published_weights(path, ("state_dict_ema", "state_dict"))
    levels, convolutions = max(1, count(state, "neck.fpn_norms")), max(1, count(state, "backbone.embd"))
    stem = count(state, "backbone.stem")
    blocks = {"stem": stem, "branch": levels - 1}
    names = published_names(levels, convolutions, blocks, HEADS, IN_BLOCK, {})
    for block in (f"backbone.branch.{index}" for index in range(levels - 1)):
        names |= {f"{block}.{name}": f"{block}.{published}" for name, published in SCALES.items()}
    check_names(path, state, [*names.values(), *scale_names(levels)], "TriDet's published program")
    if levels < 2 or not stem:
        raise SolaError(
            f"{path}: a pyramid of {levels} levels and a stem of {stem} blocks; expected at least 2 levels and 1 block"
        )
    first, hidden, last, boundary, bins = (
        state[f"{name}.conv.weight"]
        for name in (
            "backbone.embd.0",
            "cls_head.head.0",
            "cls_head.cls_head",
            "start_head.cls_head",
            "reg_head.offset_head",
        )
    )
    windows = [state[f"backbone.branch.{index}.psi.weight"].shape[2] for index in range(levels - 1)]
    wide = [state[f"backbone.{block}.convkw.weight"].shape[2] for block in ("stem.0", "branch.0")]
    with building(path, "TriDet"):
        model = TriDet(
            first.shape[1],
            None if len(last) == 1 else len(last),
            length=length,
            width=len(first),
            windows=[1, *windows],
            window_scale=_scale([1, windows[0]], wide),
            hidden=len(state["backbone.stem.0.mlp.0.weight"]),
            convolutions=convolutions,
            stem=stem,
            head_width=len(hidden),
            head_kernel_size=last.shape[2],
            boundary_kernel_size=boundary.shape[2],
            bins=len(bins) // 2 - 1,
            absolute_position=absolute_position,
            ranges=ranges,
            min_duration=min_duration,
            candidates=candidates,
        )
    return filled(path, model, state, names, levels)


def _scale(windows: Sequence[int], wide: Sequence[int]) -> float:
    """Return the middle of the range of scales that give these wide windows after rounding to odd numbers."""
    pairs = list(zip(windows, wide, strict=True))
    least, most = (pick((size + by) / (window + 1) for window, size in pairs) for pick, by in ((max, -1.5), (min, 0.5)))
    return (least + most) / 2
