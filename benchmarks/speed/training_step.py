"""A training step of `sola train` compared with a plain step: dense fp32 convolutions over whole windows.

C = 400, H = 1024, s = 8, 8 × 8, batch 256: Table 4a with features of ActivityNet's width. Both read windows from the
same packed float16 features and end with an AdamW update. They alternate, to share fluctuations of the machine.

    python benchmarks/speed/training_step.py [--rounds 7]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.device import choose_precision
from sola.data.ragged import PackedFeatures
from sola.softlanding.config import TrainingConfig
from sola.softlanding.losses import lambda_target
from sola.softlanding.task import SimilarityMatching
from sola.training.trainer import backward

CPU = torch.device("cpu")
CHANNELS, LENGTH, VIDEOS = 400, 150, 1024


def packed_noise() -> PackedFeatures:
    """Return noise of an ActivityNet-like shape; the time of a step does not depend on the values."""
    values = np.random.default_rng(0).standard_normal((VIDEOS * LENGTH, CHANNELS), dtype=np.float32)
    starts = np.arange(VIDEOS + 1) * LENGTH
    return PackedFeatures(values.astype(np.float16), starts, tuple(map(str, range(VIDEOS))))


def ours(packed: PackedFeatures, precision: str) -> Callable[[int], None]:
    """Return the training step of sola."""
    task = SimilarityMatching(TrainingConfig(), packed, CPU)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)

    def step(index: int) -> None:
        backward(task, task.batch(index // 4, index % 4), CPU, precision)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


class Plain(nn.Module):
    """Module and projector as described in the supplement."""

    def __init__(self, channels: int, hidden: int, projector_hidden: int) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv1d(channels, hidden, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 1),
            nn.ReLU(),
            nn.Conv1d(hidden, channels, 1),
        )
        self.alpha = nn.Parameter(torch.zeros(()))
        self.projector = nn.Sequential(
            nn.Linear(channels, projector_hidden), nn.ReLU(), nn.Linear(projector_hidden, channels)
        )

    def forward(self, windows: Tensor) -> Tensor:
        x = windows.transpose(1, 2)
        y = (x + self.alpha.tanh() * self.f(x)).transpose(1, 2)
        z = F.normalize(y[:, 4:-4:8], dim=-1)
        g = F.normalize(self.projector(z), dim=-1)
        return z.detach() @ g.transpose(1, 2)


def plain(packed: PackedFeatures) -> Callable[[int], None]:
    """Return a training step of the plain definition."""
    torch.manual_seed(0)
    model, target = Plain(CHANNELS, 1024, 512), lambda_target(8, 16.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    generator = np.random.default_rng(0)

    def step(_: int) -> None:
        videos = generator.permutation(VIDEOS)[:256]
        starts = videos * LENGTH + generator.integers(0, LENGTH - 65 + 1, size=256)
        windows = np.stack([packed.values[start : start + 65] for start in starts])
        probability = (1 + model(torch.from_numpy(windows).float())) / 2
        loss = F.binary_cross_entropy(probability.clamp(1e-5, 1 - 1e-5), target.expand_as(probability))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    packed = packed_noise()
    steps = {"plain fp32": plain(packed), "sola fp32": ours(packed, "fp32")}
    if choose_precision("auto", CPU) == "bf16":
        steps["sola bf16"] = ours(packed, "bf16")
    repeats = {name: 1 if name.startswith("plain") else 4 for name in steps}
    for step in steps.values():
        step(0)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for index in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            for repeat in range(repeats[name]):
                step(index * repeats[name] + repeat)
            seconds[name].append((time.perf_counter() - began) / repeats[name])
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        name: round(statistics.median(p / s for p, s in zip(seconds["plain fp32"], seconds[name], strict=True)), 1)
        for name in steps
    }
    print(json.dumps({"threads": torch.get_num_threads(), "seconds": median, "times_faster": ratios}, indent=2))


if __name__ == "__main__":
    main()
