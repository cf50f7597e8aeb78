"""Shared measurements: time of several steps in alternation, memory of one step in a separate process."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

Step = Callable[[], Tensor]


def prepared(model: nn.Module, features: Tensor) -> Step:
    """Return a forward and backward step. All gradients, including the upstream gradient, are already allocated."""
    features.requires_grad_()
    with torch.no_grad():
        upstream = torch.randn_like(model(features))
    for tensor in (features, *model.parameters()):
        tensor.grad = torch.zeros_like(tensor)

    def step() -> Tensor:
        out: Tensor = model(features)
        out.backward(upstream)
        return out.detach()

    return step


def milliseconds(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """Return the median time of each step. Steps alternate, after one warm-up, to share fluctuations of the machine."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_memory(step: Step) -> None:
    """Print the peak memory of a step (bytes), minus the memory before it."""
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = resident("VmRSS")
    step()
    print(resident("VmHWM") - before)


def resident(field: str) -> int:
    """Return a field of this process's memory status (bytes)."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return 1024 * int(match[1])


def printed_by(script: str, *arguments: str) -> int:
    """Return the number that a script prints. Its process returns freed memory to the system immediately."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, script, *arguments]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)
