"""Checkpoints of the authors' G-TAD program."""

from pathlib import Path

import torch

from sola.core.errors import SolaError
from sola.detectors.gtad.network import GTAD, STEM_GROUPS
from sola.detectors.published import check_names, published_weights

ALIGNMENT = ("localization.0.weight", "localization.0.bias")
"""Published names of the layer that `SubgraphAlignment` holds."""

LAYERS = {
    "stem.0": "backbone1.0",
    "start.1": "regu_s.1",
    "end.1": "regu_e.1",
    "reduction.0": "localization.2",
    "scoring.0": "localization.4",
    "scoring.2": "localization.6",
    "scoring.4": "localization.8",
}
BLOCKS = {"base_graph": "backbone1.2", "start.0": "regu_s.0", "end.0": "regu_e.0", "proposal_graph": "backbone2.0"}
IN_BLOCK = {
    "temporal.0": "tconvs.0",
    "temporal.2": "tconvs.2",
    "temporal.4": "tconvs.4",
    "edge": "sconvs.0",
    "semantic.1": "sconvs.2",
    "semantic.3": "sconvs.4",
}


def load(
    path: Path | str,
    *,
    length: int = 100,
    max_duration: int | None = None,
    bins: int = 32,
    context_bins: int = 4,
    candidates_only: bool = True,
) -> GTAD:
    """Load a checkpoint of the authors' program, with the outputs and proposals of that program; in evaluation mode.

    Widths and kernel size come from the weights. What the file does not hold defaults to the authors' branch `anet`
    (and `hacs`); for their `master`, which is THUMOS14, see `GTAD`.

    Raises:
        SolaError: when the file is no such checkpoint.
    """
    published = published_weights(path)
    names = _published_names()
    check_names(path, published, [*names.values(), *ALIGNMENT], "G-TAD's published program")
    stem, first, second, third = (
        published[name]
        for name in ("backbone1.0.weight", ALIGNMENT[0], "localization.2.weight", "localization.4.weight")
    )
    hidden = stem.shape[0]
    if first.shape[1:] != (hidden * (bins + context_bins), 1, 1):
        raise SolaError(
            f"{path}: {ALIGNMENT[0]} is {list(first.shape)}, which is not {bins} + {context_bins} bins of "
            f"{hidden} channels; give the bins and context_bins that it was trained with"
        )
    model = GTAD(
        stem.shape[1] * STEM_GROUPS,
        length,
        max_duration=max_duration,
        hidden=hidden,
        projected=first.shape[0],
        map_channels=second.shape[0],
        bins=bins,
        context_bins=context_bins,
        kernel_size=third.shape[-1],
        candidates_only=candidates_only,
        final_boundary=False,
    )
    by_bin = first.reshape(first.shape[0], hidden, bins + context_bins).permute(2, 0, 1)
    weights = {
        "alignment.weight": by_bin[:bins],
        "alignment.context_weight": by_bin[bins:],
        "alignment.bias": published[ALIGNMENT[1]],
        **{ours: published[theirs] for ours, theirs in names.items()},
    }
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for name, tensor in weights.items():
        # theirs has 1×1 kernels where ours has linear layers and 1-wide ones
        if tensor.squeeze().shape != torch.Size(size for size in shapes[name] if size != 1):
            raise SolaError(
                f"{path}: {names.get(name, ALIGNMENT[1])} is {list(tensor.shape)}, which does not fit the other "
                f"weights; expected {list(shapes[name])}"
            )
    model.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in weights.items()})
    return model.eval()


def _published_names() -> dict[str, str]:
    """Return the published name of each weight, by ours, but for those of `ALIGNMENT`."""
    layers = dict(LAYERS)
    for block, theirs in BLOCKS.items():
        layers |= {f"{block}.{layer}": f"{theirs}.{name}" for layer, name in IN_BLOCK.items()}
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in layers.items() for kind in ("weight", "bias")}
