"""G-TAD's sub-graph alignment compared with its plain definition: a dense matrix, then a 1×1 convolution and ReLU.

T = 100, C = 256 → 512, 32 + 4 bins, one video, forward and backward including the gradient of the features; also the
whole detector, without a plain counterpart. sola computes only valid cells, and one cell in place of all invalid cells.
Time: the steps alternate in this process, with two threads. Memory: peak resident set size of one step in a separate
process, minus the memory with model, gradients, input and upstream gradient allocated.

    python benchmarks/speed/graph_alignment.py [--rounds 7]
"""

import argparse
import json
from collections.abc import Callable

import numpy as np
import torch
from measuring import Step, milliseconds, prepared, print_memory, printed_by
from torch import Tensor, nn

from sola.detectors.gtad.alignment import SubgraphAlignment, alignment_weights
from sola.detectors.gtad.gcnext import gather_neighbors, nearest_neighbors
from sola.detectors.gtad.network import GTAD, aligned_regions
from sola.detectors.proposal_map.map import ProposalMap

LENGTH, CHANNELS, HIDDEN, BINS, CONTEXT_BINS = 100, 256, 512, 32, 4
FEATURES = 400
"""Input channels of the whole detector."""


class Plain(nn.Module):
    """The layer as described in the paper: aligned features of every cell, then the convolution."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.proposals = ProposalMap(length)
        start, end = aligned_regions(self.proposals, context=0.5, end_inclusive=False)
        cell = np.full(self.proposals.shape, len(start) - 1)
        cell[self.proposals.valid] = np.arange(len(start) - 1)
        for name, bins in (("inner", BINS), ("context", CONTEXT_BINS)):
            weights = alignment_weights(start[cell.ravel()], end[cell.ravel()], bins, length)
            matrix = torch.zeros(length, bins, cell.size)
            place = weights.time, weights.sample, weights.cell
            matrix.index_put_(tuple(map(torch.from_numpy, place)), torch.from_numpy(weights.weight).float(), True)
            self.register_buffer(name, matrix.flatten(1))
        self.conv = nn.Conv2d(CHANNELS * (BINS + CONTEXT_BINS), HIDDEN, 1)

    def forward(self, features: Tensor) -> Tensor:
        context = gather_neighbors(features, nearest_neighbors(features, 3)).mean(dim=-1)
        inner, outer = features @ self.inner, context @ self.context
        cells = torch.cat([inner.unflatten(2, (BINS, -1)), outer.unflatten(2, (CONTEXT_BINS, -1))], dim=2)
        return self.conv(cells.flatten(1, 2).unflatten(2, self.proposals.shape)).relu_()


class Ours(nn.Module):
    """sola's layer and the ReLU."""

    def __init__(self, length: int) -> None:
        super().__init__()
        start, end = aligned_regions(ProposalMap(length), context=0.5, end_inclusive=False)
        self.layer = SubgraphAlignment(
            CHANNELS, HIDDEN, start, end, length=length, bins=BINS, context_bins=CONTEXT_BINS
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features).relu_()


class WholeDetector(nn.Module):
    """The whole detector, with its three outputs concatenated."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.detector = GTAD(FEATURES, length)

    def forward(self, features: Tensor) -> Tensor:
        prediction = self.detector(features)
        return torch.cat([prediction.confidence.flatten(1), prediction.start, prediction.end], dim=1)


MODELS: dict[str, Callable[[int], nn.Module]] = {"plain": Plain, "ours": Ours, "whole_detector": WholeDetector}


def built(name: str, length: int = LENGTH) -> tuple[nn.Module, Step]:
    """Return a model and a step of it."""
    torch.manual_seed(0)
    model = MODELS[name](length)
    return model, prepared(model, torch.randn(1, FEATURES if name == "whole_detector" else CHANNELS, length))


def equal() -> float:
    """Return the largest difference between both outputs over valid cells, with the same weights."""
    (plain, step_plain), (ours, step_ours) = built("plain"), built("ours")
    by_bin = plain.conv.weight.detach().view(HIDDEN, CHANNELS, -1).permute(2, 0, 1)
    ours.layer.load_state_dict(
        {"weight": by_bin[:BINS], "context_weight": by_bin[BINS:], "bias": plain.conv.bias.detach()}
    )
    valid = torch.from_numpy(plain.proposals.valid)
    return float((step_plain()[:, :, valid] - step_ours()[:, :-1].transpose(1, 2)).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-of", choices=list(MODELS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(2)
    if options.memory_of:
        built(options.memory_of, 4)[1]()  # warm-up: load libraries, start threads
        print_memory(built(options.memory_of)[1])
        return
    difference = equal()
    times = milliseconds({name: built(name)[1] for name in MODELS}, options.rounds)
    peaks = {name: printed_by(__file__, "--memory-of", name) for name in MODELS}
    figures = {
        "largest_difference": difference,
        "milliseconds": {name: round(value, 1) for name, value in times.items()},
        "times_faster": round(times["plain"] / times["ours"], 1),
        "peak_MiB": {name: round(value / 2**20, 1) for name, value in peaks.items()},
        "times_less_memory": round(peaks["plain"] / peaks["ours"], 1),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
