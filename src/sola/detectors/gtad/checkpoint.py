"""Load checkpoints of the authors' G-TAD code."""

from pathlib import Path

from sola.core.errors import SolaError
from sola.core.published import building, check_names, load_renamed, published_weights, weights_and_biases
from sola.detectors.gtad.network import GTAD
from sola.detectors.proposal_map.detector import GROUPS

ALIGNMENT = ("localization.0.weight", "localization.0.bias")
"""Published names of the weights of `SubgraphAlignment`."""

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
NAMES = weights_and_biases(
    LAYERS
    | {
        f"{block}.{layer}": f"{published_block}.{published}"
        for block, published_block in BLOCKS.items()
        for layer, published in IN_BLOCK.items()
    }
)
"""Published name of each weight, by name in this package, except those of `ALIGNMENT`."""


def load(
    path: Path | str,
    *,
    length: int = 100,
    max_duration: int | None = None,
    bins: int = 32,
    context_bins: int = 4,
    candidates_only: bool = True,
) -> GTAD:
    """Load a checkpoint of the authors' code; the model has the same outputs and proposals, and is in evaluation mode.

    The numbers of channels and the kernel size come from the weights. The other defaults are those of the authors'
    branches `anet` and `hacs`. For their branch `master` (THUMOS14), see `GTAD`.

    Raises:
        SolaError: if the file is not a checkpoint of the authors' code.
    """
    published = published_weights(path)
    check_names(path, published, [*NAMES.values(), *ALIGNMENT], "G-TAD's published program")
    stem, first, scoring = (published[name] for name in ("backbone1.0.weight", ALIGNMENT[0], "localization.4.weight"))
    hidden = len(stem)
    if first.shape[1:] != (hidden * (bins + context_bins), 1, 1):
        raise SolaError(
            f"{path}: {ALIGNMENT[0]} has the shape {list(first.shape)}, which is not {bins} + {context_bins} bins of "
            f"{hidden} channels; pass the bins and context_bins that it was trained with"
        )
    with building(path, "G-TAD"):
        model = GTAD(
            stem.shape[1] * GROUPS,
            length,
            max_duration=max_duration,
            hidden=hidden,
            projected=len(first),
            map_channels=len(scoring),
            bins=bins,
            context_bins=context_bins,
            kernel_size=scoring.shape[-1],
            candidates_only=candidates_only,
            final_boundary=False,
        )
    by_bin = first.reshape(len(first), hidden, bins + context_bins).permute(2, 0, 1)
    weights = {
        "alignment.weight": by_bin[:bins],
        "alignment.context_weight": by_bin[bins:],
        "alignment.bias": published[ALIGNMENT[1]],
        **{name: published[published_name] for name, published_name in NAMES.items()},
    }
    load_renamed(path, model, weights, {**NAMES, "alignment.bias": ALIGNMENT[1]})
    return model.eval()
