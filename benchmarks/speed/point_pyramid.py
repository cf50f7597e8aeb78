"""A training step of a point pyramid detector with its THUMOS14 settings, compared with the authors' code.

2304 snippets, batch 2, 2048 channels, 20 classes: padding, targets, forward, loss and backward, without the optimizer.
`ours_bfloat16` is sola under autocast. `plain` is ActionFormer with attention as defined, a time × time score matrix
with a band mask. The authors' code is included if SOLA_ACTIONFORMER_REFERENCE, SOLA_TRIDET_REFERENCE or
SOLA_TEMPORALMAXER_REFERENCE names a clone of it. Time: shortest step of each, alternating in this process, with
--threads threads. Memory: peak resident set size of a separate process, in total and minus the memory with model and
gradients allocated; for sola also at 2 and 4 times the length. Finally, one forward pass and decoding of 43,200
snippets: three hours at four features per second.

    python benchmarks/speed/point_pyramid.py [--model actionformer|tridet|temporalmaxer] [--rounds 5] [--threads 2]
"""

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sola.detectors import detector_family
from sola.detectors.actionformer import blocks
from sola.detectors.point_pyramid.detector import PointDetector

LENGTH, BATCH, CHANNELS, CLASSES, WINDOW = 2304, 2, 2048, 20, 19
THREE_HOURS = 3 * 3600 * 4
REFERENCES = {
    "actionformer": "SOLA_ACTIONFORMER_REFERENCE",
    "tridet": "SOLA_TRIDET_REFERENCE",
    "temporalmaxer": "SOLA_TEMPORALMAXER_REFERENCE",
}
"""Environment variable with the path of a clone of the authors' code, by model."""
Step = Callable[[], float]


def batch(length: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return clips [channels, time], instances (units) and labels."""
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(length, CHANNELS, generator=generator).T for _ in range(BATCH)]
    instances, labels = [], []
    for _ in range(BATCH):
        start = torch.rand(30, generator=generator) * (length - 200)
        instances.append(torch.stack([start, start + 4 + 150 * torch.rand(30, generator=generator) ** 2], dim=1))
        labels.append(torch.randint(CLASSES, (30,), generator=generator))
    return clips, instances, labels


def full_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, window: int) -> Tensor:
    """Compute local attention as defined."""
    index = torch.arange(query.shape[1])
    allowed = ((index[:, None] - index).abs() <= window // 2)[None]
    if mask is not None:
        allowed = allowed & (mask[:, None, :] | torch.eye(len(index), dtype=torch.bool))
    score = torch.einsum("bqhc,bkhc->bhqk", query, key) * query.shape[-1] ** -0.5
    share = score.masked_fill(~allowed[:, None], -torch.inf).softmax(dim=-1)
    return torch.einsum("bhqk,bkhc->bqhc", share, value)


def network(model: str, length: int) -> PointDetector:
    """Return an untrained network with the published THUMOS14 settings, for training clips of this length."""
    torch.manual_seed(0)
    built = dataclasses.replace(detector_family(model).recipe("thumos"), length=length).build(CHANNELS, CLASSES)
    assert isinstance(built, PointDetector)
    return built


def half(name: str, length: int = LENGTH) -> Step:
    step = ours(name, length)

    def in_half_precision() -> float:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return step()

    return in_half_precision


def ours(name: str, length: int = LENGTH) -> Step:
    model = network(name, length)
    clips, instances, labels = batch(length)

    def step() -> float:
        features, mask = model.collate(clips)
        targets = model.targets(instances, labels, features.shape[2])
        loss = model.loss(model(features, mask), targets, torch.Generator())
        loss.backward()
        return loss.item()

    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return step


def plain(name: str, length: int = LENGTH) -> Step:
    step = ours(name, length)

    def with_full_attention() -> float:
        original, blocks.local_attention = blocks.local_attention, full_attention
        try:
            return step()
        finally:
            blocks.local_attention = original

    return with_full_attention


def authors(name: str, length: int = LENGTH) -> Step:
    clone = os.environ.get(REFERENCES[name], "")
    if not clone:
        raise SystemExit(f"set {REFERENCES[name]} to a clone of the authors' code")
    sys.path.insert(0, clone)
    # the compiled NMS extension is not needed for a training step
    utils = types.ModuleType("libs.utils")
    utils.batched_nms = None  # type: ignore[attr-defined]
    sys.modules["libs.utils"] = utils
    from libs.core.config import load_config  # type: ignore[import-not-found]
    from libs.modeling import make_meta_arch  # type: ignore[import-not-found]

    file = "temporalmaxer_thumos_i3d.yaml" if name == "temporalmaxer" else "thumos_i3d.yaml"
    config = load_config(Path(clone) / "configs" / file)
    torch.manual_seed(0)
    model = make_meta_arch(config["model_name"], **{**config["model"], "max_seq_len": length})
    clips, instances, labels = batch(length)
    videos = [
        {"feats": clip.contiguous(), "segments": instance - 0.5, "labels": label}
        for clip, instance, label in zip(clips, instances, labels, strict=True)
    ]

    def step() -> float:
        total = model(videos)["final_loss"]
        total.backward()
        return float(total.detach())

    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return step


def three_hours(name: str, length: int = THREE_HOURS) -> Step:
    model = network(name, LENGTH).eval()
    model.threshold = 0.0
    features = torch.randn(1, length, CHANNELS)

    @torch.no_grad()
    def step() -> float:
        return float(len(model.decode(model(*model.collate([features[0].T])))[0]))

    return step


PREPARE: dict[str, Callable[[str, int], Step]] = {
    "ours": ours,
    "ours_bfloat16": half,
    "plain": plain,
    "authors": authors,
    "three_hours": three_hours,
}


def seconds(model: str, names: list[str], rounds: int) -> dict[str, float]:
    """Return the shortest time of a step of each (seconds), measured in alternation after one warm-up."""
    steps = {name: PREPARE[name](model, LENGTH) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - begun)
    return {name: round(min(values[1:]), 3) for name, values in times.items()}


def resident(field: str) -> int:
    """Return a field of this process's memory status (bytes)."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return 1024 * int(match[1])


def measure_memory(model: str, name: str, length: int) -> None:
    """Print memory and time of one step. Run this in a separate process."""
    step = PREPARE[name](model, length)
    before = resident("VmRSS")
    begun = time.perf_counter()
    step()
    took = time.perf_counter() - begun
    print(json.dumps({"peak": resident("VmHWM"), "above": resident("VmHWM") - before, "seconds": round(took, 2)}))


def memory(model: str, name: str, length: int) -> dict[str, float]:
    """Return the peak memory of a process and of one step in it (GiB), and the time of that first step (seconds)."""
    command = [sys.executable, __file__, "--model", model, "--memory-of", name, str(length)]
    # return freed memory to the system immediately
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    measured = json.loads(ended.stdout.splitlines()[-1])
    return {
        "peak_GiB": round(measured["peak"] / 2**30, 3),
        "step_GiB": round(measured["above"] / 2**30, 3),
        "seconds": measured["seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=REFERENCES, default="actionformer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-of", nargs=2, metavar=("NAME", "LENGTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        measure_memory(options.model, options.memory_of[0], int(options.memory_of[1]))
        return
    model = options.model
    names = ["ours", "ours_bfloat16", *(["plain"] if model == "actionformer" else [])]
    names += ["authors"] if os.environ.get(REFERENCES[model]) else []
    figures = {
        "seconds": seconds(model, names, options.rounds),
        "memory": {name: memory(model, name, LENGTH) for name in names},
        "ours_by_length": {str(times * LENGTH): memory(model, "ours", times * LENGTH) for times in (1, 2, 4)},
        "three_hours": memory(model, "three_hours", THREE_HOURS),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
