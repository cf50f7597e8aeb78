"""G-TAD's sub-graph alignment against its plain definition: align by a dense matrix, then a 1×1 convolution and ReLU.

T = 100, C = 256 → 512, 32 + 4 bins, one video, forward and backward with the gradient of the features; and the whole
head, which has no plain counterpart here. Ours leaves out the cells that do not exist but for one that stands for all.
Time: both in turns in this process, on two threads. Memory: each in a process of its own, the highest resident set of
one step above that with model, gradients, input and upstream gradient in place.

    python benchmarks/graph_alignment.py [--rounds 7]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sola.heads.alignment import SubgraphAlignment, alignment_weights
from sola.heads.boundary_map import ProposalMap
from sola.heads.gcnext import gather_neighbours, nearest_neighbours
from sola.heads.gtad import GTAD, aligned_regions

LENGTH, CHANNELS, HIDDEN, BINS, CONTEXT_BINS = 100, 256, 512, 32, 4
FEATURES = 400
"""Channels that the whole head takes."""


class Plain(nn.Module):
    """The layer as the paper describes it: the aligned features of every cell, then the convolution."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.proposals = ProposalMap(length)
        start, end = aligned_regions(self.proposals, context=0.5, end_inclusive=False)
        cell = np.full(self.proposals.shape, len(start) - 1)
        cell[self.proposals.valid] = np.arange(len(start) - 1)
        for name, bins in (("inner", BINS), ("context", CONTEXT_BINS)):
            weights = alignment_weights(start[cell.ravel()], end[cell.ravel()], bins, length)
            matrix = torch.zeros(length, bins, cell.size)
            place = weights.time, weights.bin, weights.region
            matrix.index_put_(tuple(map(torch.from_numpy, place)), torch.from_numpy(weights.weight).float(), True)
            self.register_buffer(name, matrix.flatten(1))
        self.conv = nn.Conv2d(CHANNELS * (BINS + CONTEXT_BINS), HIDDEN, 1)

    def forward(self, features: Tensor) -> Tensor:
        context = gather_neighbours(features, nearest_neighbours(features, 3)).mean(dim=-1)
        inner, outer = features @ self.inner, context @ self.context
        cells = torch.cat([inner.unflatten(2, (BINS, -1)), outer.unflatten(2, (CONTEXT_BINS, -1))], dim=2)
        return self.conv(cells.flatten(1, 2).unflatten(2, self.proposals.shape)).relu_()


class Ours(nn.Module):
    """The layer of the package and the ReLU."""

    def __init__(self, length: int) -> None:
        super().__init__()
        start, end = aligned_regions(ProposalMap(length), context=0.5, end_inclusive=False)
        self.layer = SubgraphAlignment(
            CHANNELS, HIDDEN, start, end, length=length, bins=BINS, context_bins=CONTEXT_BINS
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features).relu_()


class Head(nn.Module):
    """The whole head, its three outputs as one row."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.head = GTAD(FEATURES, length)

    def forward(self, features: Tensor) -> Tensor:
        prediction = self.head(features)
        return torch.cat([prediction.confidence.flatten(1), prediction.start, prediction.end], dim=1)


MODELS: dict[str, Callable[[int], nn.Module]] = {"plain": Plain, "ours": Ours, "whole_head": Head}


def prepared(name: str, length: int = LENGTH) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A model with every gradient allocated, and one step of it."""
    torch.manual_seed(0)
    model = MODELS[name](length)
    channels = FEATURES if name == "whole_head" else CHANNELS
    features = torch.randn(1, channels, length, requires_grad=True)
    with torch.no_grad():
        upstream = torch.randn_like(model(features))
    for tensor in (features, *model.parameters()):
        tensor.grad = torch.zeros_like(tensor)

    def step() -> Tensor:
        out: Tensor = model(features)
        out.backward(upstream)
        return out.detach()

    return model, step


def equal() -> float:
    """The largest difference between both outputs, with the same weights, over the cells that exist."""
    (plain, step_plain), (ours, step_ours) = prepared("plain"), prepared("ours")
    by_bin = plain.conv.weight.detach().view(HIDDEN, CHANNELS, -1).permute(2, 0, 1)
    ours.layer.load_state_dict(
        {"weight": by_bin[:BINS], "context_weight": by_bin[BINS:], "bias": plain.conv.bias.detach()}
    )
    valid = torch.from_numpy(plain.proposals.valid)
    return float((step_plain()[:, :, valid] - step_ours()[:, :-1].transpose(1, 2)).abs().max())


def milliseconds(rounds: int) -> dict[str, float]:
    """Median time of a step of each, taken in turns after one warm-up."""
    steps = {name: prepared(name)[1] for name in MODELS}
    times: dict[str, list[float]] = {name: [] for name in MODELS}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def resident(field: str) -> int:
    """A line of this process's memory status, in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def measure_memory(name: str) -> None:
    """Print the bytes of one step above what stood before it (run in a process of its own)."""
    torch.set_num_threads(2)
    prepared(name, 4)[1]()  # libraries and threads
    _model, step = prepared(name)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    step()
    print(resident("VmHWM") - before)


def peak(name: str) -> int:
    """Bytes of one step, from a process whose freed memory goes back to the system at once."""
    command = [sys.executable, __file__, "--memory-of", name]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-of", choices=list(MODELS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        measure_memory(options.memory_of)
        return
    torch.set_num_threads(2)
    difference = equal()
    times = milliseconds(options.rounds)
    peaks = {name: peak(name) for name in MODELS}
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
