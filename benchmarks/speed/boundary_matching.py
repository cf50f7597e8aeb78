"""BMN's boundary-matching layer compared with its plain definition: a dense sampling mask, then Conv3d and ReLU.

T = 100, C = 128 → 512, 32 × 3 sampling points per proposal, one video, forward and backward including the gradient of
the features. sola skips invalid cells, whose features are all the same vector ReLU(bias).
Time: both steps alternate in this process, with two threads. Memory: peak resident set size of one step in a separate
process, minus the memory with model, gradients, input and upstream gradient allocated.

    python benchmarks/speed/boundary_matching.py [--rounds 7] [--channels 128]
"""

import argparse
import json

import torch
from measuring import Step, milliseconds, prepared, print_memory, printed_by
from torch import Tensor, nn

from sola.detectors.bmn.matching import BoundaryMatching, sampling_weights
from sola.detectors.proposal_map.map import ProposalMap

LENGTH, HIDDEN, SAMPLES, POINTS = 100, 512, 32, 3
NAMES = ("plain", "ours")


class Plain(nn.Module):
    """The layer as described in the paper and computed by the published programs."""

    mask: Tensor

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        proposals = ProposalMap(length)
        self.shape = SAMPLES, *proposals.shape
        cell, sample, snippet, weight = sampling_weights(
            proposals, samples=SAMPLES, points=POINTS, context=0.5, end_inclusive=False
        )
        cells = proposals.shape[0] * proposals.shape[1]
        mask = torch.zeros(length * SAMPLES * cells)
        mask.index_add_(
            0,
            torch.from_numpy((snippet * SAMPLES + sample) * cells + cell),
            torch.from_numpy(weight.astype("float32")),
        )
        self.register_buffer("mask", mask.view(length, SAMPLES * cells))
        self.conv = nn.Conv3d(channels, HIDDEN, (SAMPLES, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(torch.matmul(features, self.mask).unflatten(2, self.shape)).squeeze(2).relu_()


def built(name: str, channels: int, length: int = LENGTH) -> tuple[nn.Module, Step]:
    """Return a layer and a step of it."""
    torch.manual_seed(0)
    layer: nn.Module
    if name == "ours":
        layer = BoundaryMatching(channels, HIDDEN, ProposalMap(length), samples=SAMPLES, points=POINTS)
    else:
        layer = Plain(channels, length)
    return layer, prepared(layer, torch.randn(1, channels, length))


def equal(channels: int) -> float:
    """Return the largest difference between both outputs over valid cells, with the same weights."""
    (plain, step_plain), (ours, step_ours) = (built(name, channels) for name in NAMES)
    ours.load_state_dict({name: value for name, value in plain.state_dict().items() if name != "mask"})
    valid = torch.from_numpy(ProposalMap(LENGTH).valid)
    return float((step_plain()[:, :, valid] - step_ours().transpose(1, 2)).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--memory-of", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(2)
    if options.memory_of:
        built(options.memory_of, options.channels, 4)[1]()  # warm-up: load libraries, start threads
        print_memory(built(options.memory_of, options.channels)[1])
        return
    difference = equal(options.channels)
    times = milliseconds({name: built(name, options.channels)[1] for name in NAMES}, options.rounds)
    width = str(options.channels)
    peaks = {name: printed_by(__file__, "--channels", width, "--memory-of", name) for name in NAMES}
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
