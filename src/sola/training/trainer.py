"""The one training loop: device, precision, progress, log, checkpoint, resume.

What is trained, on what, and how it is scored is the `Task`'s.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol, TypeVar, runtime_checkable

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sola.core.errors import SolaError
from sola.training.checkpoint import Progressed, Saved, load_checkpoint, save_checkpoint
from sola.training.distributed import Processes
from sola.training.run import Run
from sola.training.tensorboard import Track, tracking

TOLD = ("loss", "gate", "validation_loss")
"""What the bar shows of an epoch's row."""

Schedule = Callable[[int, int], float]
"""Share of the learning rate by epoch and step."""

Batch = TypeVar("Batch")
Prediction = TypeVar("Prediction")


@runtime_checkable
class Task(Protocol[Batch, Prediction]):
    """What the loop has to know of one kind of training; `predict` runs in the run's precision, `score` in fp32."""

    @property
    def model(self) -> nn.Module:
        """All that is trained."""

    @property
    def processes(self) -> Processes:
        """This one among those that train the model together."""

    def steps(self, epoch: int) -> int:
        """Batches in that epoch."""

    def batch(self, epoch: int, step: int) -> Batch:
        """That batch, on the model's device: a function of the seed, the epoch and the step alone.

        What is predicted from holds this process's share of it, what is scored against all of it.
        """

    def windows(self, batch: Batch) -> int:
        """How many windows the batch holds, in all processes together."""

    def predict(self, batch: Batch) -> Prediction:
        """The model's answer."""

    def score(self, prediction: Prediction, batch: Batch) -> Tensor:
        """The loss, a scalar."""

    def measures(self, epoch: int) -> dict[str, float]:
        """What else that epoch's row of the log shall say."""


def fit(
    task: Task[Any, Any],
    optimizer: torch.optim.Optimizer,
    run: Run,
    *,
    epochs: int,
    device: torch.device,
    precision: Literal["fp32", "bf16"],
    schedule: Schedule = lambda epoch, step: 1.0,
    clip_norm: float | None = None,
    average: AveragedModel | None = None,
    resume: bool = False,
    track: Track | None = None,
    quiet: bool = False,
) -> None:
    """Train `task.model` for that many epochs, going on from the run's checkpoint if `resume` and there is one.

    `schedule` says for each epoch and step, from 0, what share of the optimizer's learning rate is taken. Gradients
    are clipped to a norm of `clip_norm`. `average` follows the model after every step.

    A row an epoch goes to the log, and to where `track` says; a checkpoint is written at the start, every 10 s or 250
    steps, whichever comes first, at the end, and when the run is asked to stop (SIGINT, SIGTERM), which raises
    KeyboardInterrupt at the next step. Of several processes the first writes all that, and measures.

    Raises:
        SolaError: when the checkpoint is unreadable or of another model, or the run's folder cannot be written, or
            the loss is not finite, or what `track` needs is not installed.
    """
    state, processes = Progressed(), task.processes
    if resume and run.checkpoint.is_file():
        state = load_checkpoint(run.checkpoint, task.model, optimizer, average)
        if processes.leads:
            run.append({**state.row, "epoch": state.epoch, "resumed_from_epoch": state.epoch})
    if state.epoch >= epochs:
        return
    clock = Clock()
    full_rates = [group["lr"] for group in optimizer.param_groups]
    track, quiet = (track, quiet) if processes.leads else (None, True)
    with tracking(run, track, state.epoch) as tell, bar(quiet) as progress, stop_requests() as stop:
        line = progress.add_task("", total=epochs, completed=state.epoch, what="")
        # once for nothing, so that start-up is in no rate
        buffers = {name: buffer.clone() for name, buffer in task.model.named_buffers()}
        backward(task, task.batch(state.epoch, 0), device, precision)
        optimizer.zero_grad(set_to_none=True)
        for name, buffer in task.model.named_buffers():
            buffer.copy_(buffers[name])
        if state.total_steps == 0 and processes.leads:  # from here on a killed run has something to go on from
            save_checkpoint(run.checkpoint, task.model, optimizer, state, average)
        saved = Saved(state.total_steps)
        while state.epoch < epochs:
            steps = task.steps(state.epoch)
            # the sum stays on the device, so that no step waits for the host
            loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=device)
            clock.start()
            while state.step < steps:
                batch = task.batch(state.epoch, state.step)
                loss = backward(task, batch, device, precision)
                for group, rate in zip(optimizer.param_groups, full_rates, strict=True):
                    group["lr"] = rate * schedule(state.epoch, state.step)
                if clip_norm is not None:
                    nn.utils.clip_grad_norm_(task.model.parameters(), clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if average is not None:
                    average.update_parameters(task.model)
                count = task.windows(batch)
                loss_sum += loss.double() * count
                state.step, state.total_steps = state.step + 1, state.total_steps + 1
                state.windows += count
                clock.count(count)
                # at an epoch's last step the row comes first: a checkpoint stands before a step or before an epoch
                if state.step < steps:
                    stopping = processes.agree_to_stop(stop.is_set, state.step, device)
                    if processes.leads and (stopping or saved.is_old(state)):
                        state.loss_sum = float(loss_sum)
                        save_checkpoint(run.checkpoint, task.model, optimizer, state, average)
                        saved = Saved(state.total_steps)
                    if stopping:
                        interrupt(processes)
            mean = float(loss_sum) / state.windows
            rate = clock.stop(device)
            if not math.isfinite(mean):
                raise SolaError(
                    f"{run.folder}: the loss of epoch {state.epoch + 1} is {mean}; "
                    "lower --learning-rate, or use --precision fp32"
                )
            row = {"epoch": state.epoch + 1, "loss": mean, "windows_per_s": rate}
            if processes.leads:
                row = {"epoch": state.epoch + 1, "loss": mean, **task.measures(state.epoch), "windows_per_s": rate}
                run.append(row)
                tell(row)
            state = Progressed(epoch=state.epoch + 1, total_steps=state.total_steps, row=row)
            told = "  ".join(f"{name.replace('_', ' ')} {row[name]:.4f}" for name in TOLD if name in row)
            what = f"{told}  {rate:,.0f} windows/s"
            progress.update(line, completed=state.epoch, what=what)
            stopping = processes.agree_to_stop(stop.is_set, 0, device)
            if processes.leads and (stopping or saved.is_old(state)):
                save_checkpoint(run.checkpoint, task.model, optimizer, state, average)
                saved = Saved(state.total_steps)
            if stopping and state.epoch < epochs:
                interrupt(processes)
    if processes.leads:
        save_checkpoint(run.checkpoint, task.model, optimizer, state, average)


def interrupt(processes: Processes) -> NoReturn:
    """Raise KeyboardInterrupt once the first process has saved: a launcher kills the others when one ends."""
    processes.wait()
    raise KeyboardInterrupt


def backward(
    task: Task[Batch, Prediction], batch: Batch, device: torch.device, precision: Literal["fp32", "bf16"]
) -> Tensor:
    """Predict in the run's precision, score in fp32, leave the gradients in the model, and return the loss.

    Each process predicts its share of the batch, and scores all of it; the gradients are those of one process.
    """
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        prediction = task.predict(batch)
    if task.processes.count > 1:
        prediction = task.processes.gathered(prediction, task.windows(batch))
    loss = task.score(prediction, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    task.processes.add_gradients(task.model.parameters())
    return loss.detach()


class Clock:
    """Windows a second over the steps alone: neither start-up nor logging nor checkpoints of other epochs count."""

    def __init__(self) -> None:
        self.windows, self.began = 0, 0.0

    def start(self) -> None:
        """Begin to count."""
        self.windows, self.began = 0, time.perf_counter()

    def count(self, windows: int) -> None:
        """So many windows more."""
        self.windows += windows

    def stop(self, device: torch.device) -> float:
        """The rate since `start`."""
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return self.windows / max(time.perf_counter() - self.began, 1e-9)


@dataclass
class Stop:
    """Whether somebody asked the run to stop."""

    is_set: bool = False


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a request, so that a step is never cut in two; a second one kills."""
    stop = Stop()
    handlers: dict[signal.Signals, Any] = {}

    def request(number: int, _frame: Any) -> None:
        stop.is_set = True
        signal.signal(number, handlers[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            handlers[number] = signal.signal(number, request)
        except ValueError:  # not in the main thread: the caller handles signals
            break
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def bar(quiet: bool) -> Progress:
    """A progress bar on stderr, where somebody watches: epochs, what the task says, time left."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[what]}"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
