"""How the benchmarks measure a step: time in turns, memory in a process of its own. A library, not a benchmark."""

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
    """One step forward and backward, with every gradient and the upstream one allocated."""
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
    """Median time of each step, taken in turns after one warm-up, so that the machine's mood hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_memory(step: Step) -> None:
    """Print the bytes that a step takes above what stands before it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    step()
    print(resident("VmHWM") - before)


def resident(field: str) -> int:
    """A line of this process's memory status, in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def printed_by(script: str, *arguments: str) -> int:
    """The number that a script prints, in a process whose freed memory goes back to the system at once."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, script, *arguments]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)
