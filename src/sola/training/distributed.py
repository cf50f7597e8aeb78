"""Distributed training in several processes, started by `torchrun` or `accelerate launch`.

Every process holds the whole model and predicts its share of a batch. The predictions are gathered, each process
computes the loss of the whole batch, and the gradients of the shares are summed. So the result equals that of a single
process.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch import distributed as dist

from sola.core.errors import SolaError
from sola.core.launch import rank_and_count

Prediction = TypeVar("Prediction")

TIMEOUT = timedelta(hours=2)
"""Timeout of a process that waits for another process, for example during validation."""

STOP_STEPS = 16
"""Steps between checks for stop requests, since each check waits for the device."""


@dataclass(frozen=True)
class Processes:
    """The process group of a training run, as seen from this process; by default, a single process."""

    rank: int = 0
    """Rank of this process."""
    count: int = 1
    """Number of processes in total."""
    local_count: int = 1
    """Number of processes on this machine."""

    @property
    def leads(self) -> bool:
        """Whether this is the main process, which writes and logs."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """Return the windows of a batch that this process predicts, at least one window."""
        begin, end = self._bounds(self.rank, total)
        return slice(begin, end) if begin < end else slice(total - 1, total)

    def gather(self, prediction: Prediction, total: int) -> Prediction:
        """Gather tensors [share, ...] in tuples and dataclasses as [total, ...]; only the local share has gradients."""
        if self.count == 1:
            return prediction
        return cast(Prediction, _mapped(prediction, lambda tensor: self._gather(tensor, total)))

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum the gradients over all processes."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        joined = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(joined)
        for gradient, total in zip(
            gradients, torch.split(joined, [gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(total.view_as(gradient))

    def agree_to_stop(self, asked: bool, step: int, device: torch.device) -> bool:
        """Return whether any process was asked to stop; several processes check only every `STOP_STEPS` steps."""
        if self.count == 1:
            return asked
        if step % STOP_STEPS:
            return False
        flag = torch.tensor(float(asked), device=device)
        dist.all_reduce(flag)
        return bool(flag > 0)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.count > 1:
            dist.barrier()

    def _bounds(self, rank: int, total: int) -> tuple[int, int]:
        return rank * total // self.count, (rank + 1) * total // self.count

    def _gather(self, tensor: Tensor, total: int) -> Tensor:
        sizes = [end - begin for begin, end in (self._bounds(rank, total) for rank in range(self.count))]
        local = tensor[: sizes[self.rank]]
        # a dtype that every backend supports
        dtype = torch.uint8 if tensor.dtype == torch.bool else torch.promote_types(tensor.dtype, torch.float32)
        sent = torch.zeros((max(sizes), *tensor.shape[1:]), dtype=dtype, device=tensor.device)
        sent[: len(local)] = local.detach()
        received = [torch.empty_like(sent) for _ in sizes]
        dist.all_gather(received, sent)
        parts = [part[:size].to(tensor.dtype) for part, size in zip(received, sizes, strict=True)]
        parts[self.rank] = local
        return torch.cat(parts)


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the process group of the launcher, if there is one. Raises SolaError if that fails."""
    rank, count = rank_and_count()
    if count == 1:
        yield ALONE
        return
    started = not dist.is_initialized()
    if started:
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
        except (ValueError, RuntimeError) as error:
            raise SolaError(
                f"WORLD_SIZE={count}: cannot connect to the other processes ({error}); start them with torchrun"
            ) from None
    try:
        local_count = os.environ.get("LOCAL_WORLD_SIZE", "")
        yield Processes(rank, count, int(local_count) if local_count.isdecimal() else count)
    finally:
        if started:
            dist.destroy_process_group()


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply `change` to the tensors in tuples and dataclasses."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(entry, change) for entry in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _mapped(getattr(value, field.name), change) for field in fields(value)})
    return value
