"""Checkpoints of published BMN programs: JJBOY's and mmaction2's."""

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
"""Name of each weight in both programs, by our name."""


def load(
    path: Path | str,
    *,
    length: int = 100,
    by_duration: bool | None = None,
    points: int = 3,
    context: float = 0.5,
) -> BMN:
    """Load a checkpoint of JJBOY's program or mmaction2's, with every choice of that program, in evaluation mode.

    Widths come from the weights. The sampling mask that both programs save determines T and the program, and is
    compared with that of `points` and `context`, as in `BoundaryMatching`. Without it, `length` is T, and `by_duration`
    says whether the map is mmaction2's [duration, start] or JJBOY's [start, end]; None is JJBOY's. Raises SolaError
    when the file is no such checkpoint; the message lists missing and unexpected names.
    """
    weights = published_weights(path)
    existing = weights.pop("bm_mask", None)  # mmaction2's mask of the cells that exist
    mask = weights.pop("sample_mask", None)
    check_names(path, weights, NAMES.values(), "BMN as JJBOY or mmaction2 writes it")
    with building(path, "BMN"):
        samples = weights["x_3d_p.0.weight"].shape[2]
        if mask is not None:
            length = len(mask)
            mask = mask.view(length, samples, length, length)
        if by_duration is None:
            # the lower left corner is the longest proposal by duration, and no proposal by start and end
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
    load_renamed(path, model, {ours: weights[theirs] for ours, theirs in NAMES.items()}, NAMES)
    if mask is not None and not _same_sampling(model, mask):
        raise SolaError(
            f"{path}: its sample_mask is not that of {points} points and context {context}; pass the values it was "
            "trained with"
        )
    return model.eval()


def _same_sampling(model: BMN, mask: Tensor) -> bool:
    """Return whether a published mask [snippet, sample, row, column] holds the model's sampling weights."""
    length, samples = mask.shape[:2]
    sampled = model.matching.sampling.dense()  # [cell, sample, snippet]
    expected = sampled.new_zeros(length * length, samples, length).index_copy(0, model.existing, sampled)
    return torch.allclose(mask.flatten(2).permute(2, 1, 0), expected, atol=1e-5)
