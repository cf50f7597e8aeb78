"""Train small detectors, stop their training, and read their files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from sola.data.dataset import Dataset
from sola.detectors.base import DetectorConfig
from sola.detectors.bmn.config import BMNConfig
from sola.detectors.clips import Clips, cut
from sola.detectors.gtad.config import GTADConfig
from sola.detectors.train import train_detector
from sola.detectors.trained import WEIGHTS, TrainedDetector
from sola.training.run import Run

TINY = GTADConfig(
    bins=4, context_bins=2, length=8, window_size=16, window_stride=8, max_duration=4, epochs=4, batch_size=4,
    decay_every=3, suppression="gaussian", classifier_epochs=2, precision="fp32", device="cpu",
)  # fmt: skip
TINY_BMN = BMNConfig(
    length=8, window_size=16, window_stride=8, max_duration=4, epochs=4, batch_size=4,
    decay_every=3, suppression="gaussian", classifier_epochs=2, precision="fp32", device="cpu",
)  # fmt: skip
CPU = torch.device("cpu")


def trained(
    data: Dataset,
    config: DetectorConfig,
    out: Path,
    *,
    subset: str = "training",
    validation: str | None = None,
    **options: Any,
) -> TrainedDetector:
    held_out = None if validation is None else data.subset(validation)
    return train_detector(data.subset(subset), config, out=out, validation=held_out, **options)


def clips_of(data: Dataset, subset: str, config: DetectorConfig) -> Clips:
    return cut(data.subset(subset), config.clipping(), keep_empty=False)


def weights(run: Path) -> bytes:
    return (run / WEIGHTS).read_bytes()


def log(run: Path) -> list[dict[str, Any]]:
    """Return the log without throughput and without marks of a resume."""
    ignored = ("windows_per_s", "resumed_from_epoch")
    return [{key: value for key, value in row.items() if key not in ignored} for row in Run(run).rows()]


@contextmanager
def before_every_step(call: Callable[[torch.optim.Optimizer, int], None]) -> Iterator[None]:
    """Call `call(optimizer, number)` before each step; numbers start at 1."""
    done = 0

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        nonlocal done
        done += 1
        call(optimizer, done)

    handle = register_optimizer_step_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class PowerCutError(Exception):
    """Simulates a machine that goes down."""


def power_cut(at: int) -> Callable[[torch.optim.Optimizer, int], None]:
    def call(optimizer: torch.optim.Optimizer, number: int) -> None:
        if number == at:
            raise PowerCutError

    return call
