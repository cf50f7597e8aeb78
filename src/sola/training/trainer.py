"""The training loop: steps, precision, checkpoints, the log, and the best epoch.

A `Task` defines the model, the data and the loss. It does not depend on processes or files.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sola.core.errors import SolaError
from sola.core.progress import progress_bar
from sola.training.checkpoint import BestWeights, Checkpoints, TrainingState
from sola.training.distributed import ALONE, Processes
from sola.training.run import Run
from sola.training.stopping import Stop, stop_requests
from sola.training.tensorboard import tensorboard_writer

SHOWN = ("loss", "gate", "validation_loss")
"""Values of a log row that the progress bar shows."""


@runtime_checkable
class Batch(Protocol):
    """A batch of windows or clips."""

    def __len__(self) -> int:
        """Return the number of windows in the whole batch."""

    def share(self, part: slice) -> Any:
        """Return the batch with the inputs of these windows only, and the targets of all windows."""


AnyBatch = TypeVar("AnyBatch", bound=Batch)
Prediction = TypeVar("Prediction")


@runtime_checkable
class Task(Protocol[AnyBatch, Prediction]):
    """A training task; `predict` runs in the precision of the run, `score` in fp32."""

    @property
    def model(self) -> nn.Module:
        """The model with all trained parameters."""

    @property
    def average(self) -> AveragedModel | None:
        """Model with averaged weights, evaluated and saved instead of `model`, or None without averaging."""

    @property
    def clip_norm(self) -> float | None:
        """Maximum norm of the gradient, or None for no clipping."""

    def optimizer(self) -> torch.optim.Optimizer:
        """Return an optimizer for the model, at the full learning rate."""

    def rate(self, epoch: int, step: int) -> float:
        """Return the learning rate factor at a step of an epoch, both counted from 0."""

    def steps(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""

    def batch(self, epoch: int, step: int) -> AnyBatch:
        """Return a whole batch on the device of the model; it depends only on seed, epoch and step."""

    def predict(self, batch: AnyBatch) -> Prediction:
        """Return the prediction of the model for the inputs of the batch."""

    def score(self, prediction: Prediction, batch: AnyBatch) -> Tensor:
        """Return the loss of the whole batch as a scalar."""

    def evaluate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return values for the log row; if they have "validation_loss", the epoch with the lowest is selected."""


def evaluated_model(task: Task[Any, Any]) -> nn.Module:
    """Return the model to evaluate and save: the averaged model if there is one."""
    if task.average is None:
        return task.model
    averaged: nn.Module = task.average.module
    return averaged


@dataclass(frozen=True)
class Trainer:
    """Train a task in the folder of a run, in one or several processes; the main process writes and evaluates.

    Each epoch adds a row to the log. A checkpoint is written at the start, every 10 s or 250 steps, and at the end. A
    stop request (SIGINT or SIGTERM) writes a checkpoint after the current step and raises KeyboardInterrupt.
    """

    run: Run
    device: torch.device
    precision: Literal["fp32", "bf16"]
    processes: Processes = ALONE
    tensorboard: bool = False
    """Whether to also write the log as TensorBoard event files."""
    quiet: bool = False
    """Whether to hide the progress bar."""

    def fit(self, task: Task[Any, Any], epochs: int, *, resume: bool = False) -> None:
        """Train until `epochs` epochs are completed; if `resume` is set, continue from the checkpoint if there is one.

        Raises:
            SolaError: if the checkpoint is unreadable, the folder cannot be written, or the loss is not finite.
        """
        optimizer = task.optimizer()
        full_rates = [group["lr"] for group in optimizer.param_groups]
        checkpoints = Checkpoints(self.run.checkpoint, task.model, optimizer, task.average)
        state = self._restore(checkpoints, resume)
        if state.epoch >= epochs:
            return
        clock, leads = Clock(self.device), self.processes.leads
        with (
            tensorboard_writer(self.run, self.tensorboard and leads, state.epoch) as write,
            progress_bar("train", total=epochs, completed=state.epoch, unit="epochs", quiet=self.quiet) as bar,
            stop_requests() as stop,
        ):
            while state.epoch < epochs:
                steps = task.steps(state.epoch)
                # keep the sum on the device, so that no step waits for it
                loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=self.device)
                clock.start()
                while state.step < steps:
                    batch = task.batch(state.epoch, state.step)
                    for group, rate in zip(optimizer.param_groups, full_rates, strict=True):
                        group["lr"] = rate * task.rate(state.epoch, state.step)
                    loss_sum += self.step(task, optimizer, batch).double() * len(batch)
                    state.add(len(batch))
                    clock.add(len(batch))
                    # after the last step of an epoch, log the row before the checkpoint
                    if state.step < steps:
                        self._save_or_stop(checkpoints, state, stop, loss_sum)
                row = self._row(task, state.epoch, float(loss_sum) / state.windows, clock.rate())
                write(row)
                state = state.next_epoch(row)
                shown = [f"{name.replace('_', ' ')} {row[name]:.4f}" for name in SHOWN if name in row]
                bar.update(state.epoch, note="  ".join([*shown, f"{row['windows_per_s']:,.0f} windows/s"]))
                self._save_or_stop(checkpoints, state, stop, None, last=state.epoch == epochs)
        if leads:
            checkpoints.save(state)

    def step(self, task: Task[AnyBatch, Any], optimizer: torch.optim.Optimizer, batch: AnyBatch) -> Tensor:
        """Take an optimizer step on a batch and return its loss."""
        loss = backward(task, batch, self.device, self.precision, self.processes)
        if task.clip_norm is not None:
            nn.utils.clip_grad_norm_(task.model.parameters(), task.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if task.average is not None:
            task.average.update_parameters(task.model)
        return loss

    def _restore(self, checkpoints: Checkpoints, resume: bool) -> TrainingState:
        if resume and self.run.checkpoint.is_file():
            state = checkpoints.restore()
            if self.processes.leads:
                self.run.append({**state.row, "epoch": state.epoch, "resumed_from_epoch": state.epoch})
            return state
        if self.processes.leads:  # a run killed after this point can be resumed
            checkpoints.save(TrainingState())
        return TrainingState()

    def _row(self, task: Task[Any, Any], epoch: int, loss: float, windows_per_s: float) -> dict[str, Any]:
        """Evaluate an epoch, save its weights if they are the best so far, and log and return its row."""
        if not math.isfinite(loss):
            raise SolaError(
                f"{self.run.folder}: the loss of epoch {epoch + 1} is {loss}; "
                "lower --learning-rate, or use --precision fp32"
            )
        row: dict[str, Any] = {"epoch": epoch + 1, "loss": loss, "windows_per_s": windows_per_s}
        if not self.processes.leads:
            return row
        model, training = evaluated_model(task), task.model.training
        model.eval()
        values = task.evaluate(model, epoch)
        model.train(training)
        if "validation_loss" in values:
            values |= {"best_validation_loss": self._save_best(model, epoch, values["validation_loss"])}
        row = {"epoch": epoch + 1, "loss": loss, **values, "windows_per_s": windows_per_s}
        self.run.append(row)
        return row

    def _save_best(self, model: nn.Module, epoch: int, loss: float) -> float:
        """Save the weights if their validation loss is the lowest so far, and return the lowest validation loss."""
        if not math.isfinite(loss):
            raise SolaError(f"the validation loss of epoch {epoch + 1} is {loss}; lower --learning-rate")
        best = BestWeights(self.run.best)
        if loss < best.loss():
            best.save(model, epoch + 1, loss)
        # use the log, because the saved weights may come from a later epoch that a resumed run repeats
        earlier = [float(row["validation_loss"]) for row in self.run.rows() if row["epoch"] <= epoch]
        return min([loss, *earlier])

    def _save_or_stop(
        self, checkpoints: Checkpoints, state: TrainingState, stop: Stop, loss_sum: Tensor | None, *, last: bool = False
    ) -> None:
        """Write a checkpoint if it is due, and raise KeyboardInterrupt if a process was asked to stop."""
        stopping = self.processes.agree_to_stop(stop.is_set, state.step, self.device)
        if self.processes.leads and (stopping or checkpoints.due(state)):
            state.loss_sum = 0.0 if loss_sum is None else float(loss_sum)
            checkpoints.save(state)
        if stopping and not last:
            self.processes.wait()  # the launcher kills the other processes when one ends
            raise KeyboardInterrupt


def backward(
    task: Task[AnyBatch, Any],
    batch: AnyBatch,
    device: torch.device,
    precision: Literal["fp32", "bf16"],
    processes: Processes = ALONE,
) -> Tensor:
    """Compute the gradients of a batch and return its loss; each process predicts only its share of the batch."""
    share = batch if processes.count == 1 else batch.share(processes.share(len(batch)))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        prediction = task.predict(share)
    loss = task.score(processes.gather(prediction, len(batch)), share)
    loss.backward()  # type: ignore[no-untyped-call]
    processes.add_gradients(task.model.parameters())
    return loss.detach()


class Clock:
    """Throughput of an epoch (windows per second), without the warm-up step of the process."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.warm = device, False
        self.windows, self.began = 0, 0.0

    def start(self) -> None:
        """Start counting."""
        self.windows, self.began = 0, time.perf_counter()

    def add(self, windows: int) -> None:
        """Count the windows of a step."""
        self.windows += windows
        if not self.warm:
            self.warm, self.warm_up = True, (windows, time.perf_counter() - self.began)
            self._wait()
            self.start()

    def rate(self) -> float:
        """Return the windows per second since `start`, or those of the warm-up step if it was the only step."""
        self._wait()
        windows, seconds = self.windows, time.perf_counter() - self.began
        if not windows:
            windows, seconds = self.warm_up
        return windows / max(seconds, 1e-9)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
