"""Training of Table 4a on a GPU at ActivityNet's size, its share of peak performance, and a pass of each detector.

9,649 synthetic videos of 150 × 400 float16, 500 epochs by default: the training steps only, without start-up, logging
and checkpoints. The share of peak counts only the multiplications of module and projector (once forward, twice
backward), relative to --peak-tflops, the dense bf16 performance from the data sheet of the GPU (H200: 989).

    python benchmarks/speed/gpu.py [--epochs 500] [--peak-tflops 989]
    python benchmarks/speed/gpu.py --device cpu --videos 64 --epochs 1      # the same code, small
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from sola.core.device import choose_device, choose_precision
from sola.data.ragged import PackedFeatures
from sola.detectors import DETECTORS, detector_family
from sola.softlanding.config import TrainingConfig
from sola.softlanding.task import SimilarityMatching
from sola.training.trainer import backward

LENGTH, CHANNELS, CLASSES, CLIP = 150, 400, 200, 100


def training(videos: int, epochs: int, device: torch.device, precision: str, peak: float) -> dict[str, float]:
    """Return the time of all training steps (seconds) and the share of the GPU's peak performance."""
    values = np.random.default_rng(0).standard_normal((videos * LENGTH, CHANNELS), dtype=np.float32)
    packed = PackedFeatures(values.astype(np.float16), np.arange(videos + 1) * LENGTH, tuple(map(str, range(videos))))
    config = TrainingConfig()
    task = SimilarityMatching(config, packed, device)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-4, fused=True)

    def step(epoch: int, number: int) -> int:
        batch = task.batch(epoch, number)
        backward(task, batch, device, precision)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return len(batch)

    step(0, 0)
    wait(device)
    began, windows = time.perf_counter(), 0
    for epoch in range(epochs):
        for number in range(task.steps(epoch)):
            windows += step(epoch, number)
    wait(device)
    seconds = time.perf_counter() - began
    tflops = 6 * weights_at_each_position(task.model) * config.positions * windows / seconds / 1e12
    return {
        "videos": videos,
        "epochs": epochs,
        "windows": windows,
        "seconds": round(seconds, 2),
        "tflops": round(tflops, 2),
        "share_of_peak": round(tflops / peak, 4),
    }


def weights_at_each_position(model: nn.Module) -> int:
    """Return the multiplications of a forward pass at one position, where each weight is used once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1)


def detectors(device: torch.device, precision: str, batch: int) -> dict[str, float]:
    """Return the time (ms) of a forward and backward pass of each detector (recipe "anet"), with a sum as the loss."""
    times = {}
    for name in DETECTORS:
        model = detector_family(name).recipe("anet").build(CHANNELS, CLASSES).to(device)
        inputs = model.collate(list(torch.randn(batch, CHANNELS, CLIP, device=device)))

        def once(model: nn.Module = model, inputs: tuple[torch.Tensor, ...] = inputs) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                out = model(*inputs)
            torch.stack([part.float().sum() for part in tensors(out) if part.requires_grad]).sum().backward()
            model.zero_grad(set_to_none=True)

        times[name] = round(milliseconds(once, device), 1)
    return times


def tensors(prediction: object) -> Iterator[torch.Tensor]:
    """Yield all tensors of a prediction, which may be nested."""
    if isinstance(prediction, torch.Tensor):
        yield prediction
    elif prediction is not None:
        for part in prediction if isinstance(prediction, list | tuple) else vars(prediction).values():
            yield from tensors(part)


def milliseconds(once: Callable[[], None], device: torch.device, rounds: int = 5) -> float:
    """Return the median time (ms) of several calls, after one warm-up."""
    times = []
    for _ in range(rounds + 1):
        wait(device)
        began = time.perf_counter()
        once()
        wait(device)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times[1:]))


def wait(device: torch.device) -> None:
    """Wait until the device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--videos", type=int, default=9649)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16, help="clips per detector batch")
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    options = parser.parse_args()
    device = choose_device(options.device)
    precision = choose_precision("auto", device)
    figures = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": precision,
        "training": training(options.videos, options.epochs, device, precision, options.peak_tflops),
        "detectors_milliseconds": detectors(device, precision, options.batch),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
