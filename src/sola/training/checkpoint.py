"""Checkpoints to resume from, and the weights of the best epoch, as safetensors files."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sola.core.errors import SolaError
from sola.core.files import replacing

CHECKPOINT_SECONDS = 10.0
CHECKPOINT_STEPS = 250
"""A checkpoint is written after this many seconds or steps, whichever comes first."""


@dataclass
class TrainingState:
    """Progress of a training run, saved in the checkpoint."""

    epoch: int = 0
    """Number of completed epochs."""
    step: int = 0
    """Number of completed batches in the current epoch."""
    total_steps: int = 0
    """Number of completed batches in all epochs."""
    loss_sum: float = 0.0
    """Sum of loss x windows over the current epoch."""
    windows: int = 0
    """Number of windows so far in the current epoch."""
    row: dict[str, Any] = field(default_factory=dict)
    """Log row of the last completed epoch."""

    def add(self, windows: int) -> None:
        """Count a step on this many windows."""
        self.step, self.total_steps, self.windows = self.step + 1, self.total_steps + 1, self.windows + windows

    def next_epoch(self, row: dict[str, Any]) -> "TrainingState":
        """Return the state at the start of the next epoch."""
        return TrainingState(epoch=self.epoch + 1, total_steps=self.total_steps, row=row)


@dataclass
class Checkpoints:
    """The checkpoint file of a run: weights, averaged weights, optimizer and state."""

    path: Path
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None = None
    last: tuple[int, float] = (0, 0.0)
    """Total steps and monotonic time (seconds) at the last save or restore."""

    def due(self, state: TrainingState) -> bool:
        """Return whether the next checkpoint is due."""
        steps, seconds = self.last
        return state.total_steps - steps >= CHECKPOINT_STEPS or time.monotonic() - seconds >= CHECKPOINT_SECONDS

    def save(self, state: TrainingState) -> None:
        """Write the checkpoint atomically."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.state_dict().items()}
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for parameter, values in self.optimizer.state.items():
            tensors |= {f"optimizer/{names[id(parameter)]}/{key}": value for key, value in values.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        with replacing(self.path) as aside:
            save_file(tensors, aside, metadata={"state": json.dumps(vars(state))})
        self.last = state.total_steps, time.monotonic()

    def restore(self) -> TrainingState:
        """Load the checkpoint and return the state. Raises SolaError if it is unreadable or for another model."""
        with _file_errors(self.path, "a checkpoint of this run"):
            with safe_open(self.path, framework="pt") as stream:
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no mapping)
                state = TrainingState(**json.loads(stream.metadata()["state"]))
            self.model.load_state_dict(_with_prefix("model/", tensors))
            if self.average is not None:
                self.average.load_state_dict(_with_prefix("average/", tensors))
            for name, parameter in self.model.named_parameters():
                values = _with_prefix(f"optimizer/{name}/", tensors)
                if values:
                    # fused optimizers require the memory order of the parameter
                    self.optimizer.state[parameter] = {
                        key: torch.empty_like(parameter).copy_(value)
                        if value.shape == parameter.shape
                        else value.to(parameter.device)
                        for key, value in values.items()
                    }
        self.last = state.total_steps, time.monotonic()
        return state


@dataclass(frozen=True)
class BestWeights:
    """The weights of the epoch with the lowest validation loss so far."""

    path: Path

    def loss(self) -> float:
        """Return the validation loss of the saved weights, or infinity if there are none."""
        return float(self._metadata()["loss"]) if self.path.is_file() else math.inf

    def save(self, model: nn.Module, epoch: int, loss: float) -> None:
        """Save the weights of an epoch atomically."""
        weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        with replacing(self.path) as aside:
            save_file(weights, aside, metadata={"best": json.dumps({"epoch": epoch, "loss": loss})})

    def restore(self, model: nn.Module) -> int | None:
        """Load the saved weights and return their epoch, or None if there are none. Raises SolaError for a bad file."""
        if not self.path.is_file():
            return None
        with _file_errors(self.path, "the best weights of this run"):
            model.load_state_dict(load_file(self.path))
            return int(self._metadata()["epoch"])

    def _metadata(self) -> dict[str, Any]:
        with _file_errors(self.path, "the best weights of this run"), safe_open(self.path, framework="pt") as stream:
            return dict(json.loads(stream.metadata()["best"]))


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@contextmanager
def _file_errors(path: Path, what: str) -> Iterator[None]:
    """Turn the errors of an unreadable or mismatched file into a SolaError of one line."""
    try:
        yield
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SolaError(f"{path}: not {what} ({reason}); start again with --overwrite") from None
