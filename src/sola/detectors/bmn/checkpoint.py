"""Load checkpoints of the BMN code of JJBOY and mmaction2."""

from pathlib import Path

import torch
from torch import Tensor

from sola.core.errors import SolaError
from sola.core.published import building, check_names, load_renamed, published_weights, weights_and_biases
from sola.detectors.bmn.network import BMN
from sola.detectors.proposal_map.detector import GROUPS

NAMES = weights_and_biases(
    {
        "base.0": "x_1d_b.0",
        "base.2": "x_1d_b.2",
        "start.0": "x_1d_s.0",
        "start.2": "x_1d_s.2",
        "end.0": "x_1d_e.0",
        "end.2": "x_1d_e.2",
        "reduce.0": "x_1d_p.0",
        "matching.conv": "x_3d_p.0",
        "confidence.0": "x_2d_p.0",
        "confidence.2": "x_2d_p.2",
        "confidence.4": "x_2d_p.4",
        "confidence.6": "x_2d_p.6",
    }
)
"""Published name of each weight, by name in this package; the same in both programs."""


def load(
    path: Path | str,
    *,
    length: int = 100,
    by_duration: bool | None = None,
    points: int = 3,
    context: float = 0.5,
) -> BMN:
    """Load a checkpoint of JJBOY's or mmaction2's code; the model has the same outputs and is in evaluation mode.

    The numbers of channels come from the weights. Both programs save their sampling mask. It determines T and the
    program, and must match `points` and `context` (see `BoundaryMatching`). Without a mask, T is `length`, and
    `by_duration` selects the map of mmaction2 [duration, start] or of JJBOY [start, end], which is the default.

    Raises:
        SolaError: if the file is not a checkpoint of these programs; the message lists missing and unexpected names.
    """
    weights = published_weights(path)
    existing = weights.pop("bm_mask", None)  # mask of valid cells, only in mmaction2
    mask = weights.pop("sample_mask", None)
    check_names(path, weights, NAMES.values(), "BMN as JJBOY or mmaction2 writes it")
    with building(path, "BMN"):
        samples = weights["x_3d_p.0.weight"].shape[2]
        if mask is not None:
            length = len(mask)
            mask = mask.view(length, samples, length, length)
        if by_duration is None:
            # the lower left corner is a valid proposal in a [duration, start] map, but not in a [start, end] map
            by_duration = existing is not None if mask is None else bool(length == 1 or mask[:, :, -1, 0].any())
        model = BMN(
            weights["x_1d_b.0.weight"].shape[1] * GROUPS,
            length,
            hidden=len(weights["x_1d_b.0.weight"]),
            proposal_channels=len(weights["x_1d_p.0.weight"]),
            matching_channels=len(weights["x_3d_p.0.weight"]),
            map_channels=len(weights["x_2d_p.0.weight"]),
            samples=samples,
            points=points,
            context=context,
            layout="duration_start" if by_duration else "start_end",
            end_inclusive=not by_duration,
            anchor=(-0.5, 1.5) if by_duration else (-0.5, 0.5),
            candidates_only=by_duration,
            final_boundary=False,
        )
    load_renamed(path, model, {name: weights[published] for name, published in NAMES.items()}, NAMES)
    if mask is not None and not _same_sampling(model, mask):
        raise SolaError(
            f"{path}: the sample_mask does not match points {points} and context {context}; pass the values that the "
            "checkpoint was trained with"
        )
    return model.eval()


def _same_sampling(model: BMN, mask: Tensor) -> bool:
    """Return whether a published mask [snippet, sample, row, column] equals the sampling weights of the model."""
    length, samples = mask.shape[:2]
    sampled = model.matching.sampling.dense()  # [cell, sample, snippet]
    expected = sampled.new_zeros(length * length, samples, length).index_copy(0, model.existing, sampled)
    return torch.allclose(mask.flatten(2).permute(2, 1, 0), expected, atol=1e-5)
