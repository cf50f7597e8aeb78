"""What a training goes on from: weights, optimizer and counters in one file, so that they cannot disagree."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from sola.core.errors import SolaError
from sola.core.files import replacing

CHECKPOINT_SECONDS = 10.0
CHECKPOINT_STEPS = 250
"""A checkpoint is written when either has passed: so much is lost at most."""


@dataclass
class Progressed:
    """How far a training has come; travels with the checkpoint."""

    epoch: int = 0
    """Epochs completed."""
    step: int = 0
    """Batches done of the epoch under way."""
    total_steps: int = 0
    loss_sum: float = 0.0
    """Sum of loss·windows over the epoch under way."""
    windows: int = 0
    """Windows of the epoch under way."""
    row: dict[str, Any] = field(default_factory=dict)
    """The last epoch's row of the log."""


@dataclass
class Saved:
    """When the last checkpoint was written."""

    step: int
    time: float = field(default_factory=time.monotonic)

    def is_old(self, state: Progressed) -> bool:
        """Whether the next one is due."""
        return state.total_steps - self.step >= CHECKPOINT_STEPS or time.monotonic() - self.time >= CHECKPOINT_SECONDS


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Progressed,
    average: AveragedModel | None = None,
) -> None:
    """Write weights, their average, optimizer and counters as one safetensors file, whole or not at all."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.state_dict().items()}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for parameter, values in optimizer.state.items():
        tensors |= {f"optimizer/{names[id(parameter)]}/{key}": value for key, value in values.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as aside:
        save_file(tensors, aside, metadata={"state": json.dumps(vars(state))})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: AveragedModel | None = None
) -> Progressed:
    """Put a checkpoint back into model, average and optimizer, and say how far it had come.

    Raises SolaError when it is unreadable, or of another model.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no mapping)
            state = Progressed(**json.loads(stream.metadata()["state"]))
        model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
        if average is not None:
            average.load_state_dict(
                {n.removeprefix("average/"): t for n, t in tensors.items() if n.startswith("average/")}
            )
        for name, parameter in model.named_parameters():
            prefix = f"optimizer/{name}/"
            values = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            if values:
                # in the parameter's order in memory, which the fused steps take for granted
                optimizer.state[parameter] = {
                    key: torch.empty_like(parameter).copy_(value)
                    if value.shape == parameter.shape
                    else value.to(parameter.device)
                    for key, value in values.items()
                }
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SolaError(f"{path}: not a checkpoint of this run ({reason}); start again with --overwrite") from None
    return state
