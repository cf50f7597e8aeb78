"""The training loop: steps, precision, checkpoints, the log, and the best epoch.

A `Task` says what is trained, on which data, and with which loss; it knows nothing of processes and files.
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
"""Values of an epoch's row that the progress bar shows."""


@runtime_checkable
class Batch(Protocol):
    """A batch of windows or clips."""

    def __len__(self) -> int:
        """Return the number of windows in the whole batch."""

    def share(self, part: slice) -> Any:
        """Return the batch with the inputs of these windows, and the targets of all."""


AnyBatch = TypeVar("AnyBatch", bound=Batch)
Prediction = TypeVar("Prediction")


@runtime_checkable
class Task(Protocol[AnyBatch, Prediction]):
    """A training task: `predict` runs in the run's precision, `score` in fp32."""

    @property
    def model(self) -> nn.Module:
        """Everything that is trained."""

    @property
    def average(self) -> AveragedModel | None:
        """Averaged weights, which are evaluated and saved instead of the model's; None without averaging."""

    @property
    def clip_norm(self) -> float | None:
        """Maximum norm of the gradient; None for no clipping."""

    def optimizer(self) -> torch.optim.Optimizer:
        """Return an optimizer of the model at its full learning rate."""

    def rate(self, epoch: int, step: int) -> float:
        """Return the factor of the learning rate at a step of an epoch, both counted from 0."""

    def steps(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""

    def batch(self, epoch: int, step: int) -> AnyBatch:
        """Return a whole batch on the model's device; it depends on seed, epoch and step only."""

    def predict(self, batch: AnyBatch) -> Prediction:
        """Return the model's prediction for the batch's inputs."""

    def score(self, prediction: Prediction, batch: AnyBatch) -> Tensor:
        """Return the loss of the whole batch, a scalar."""

    def evaluate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return values for the epoch's row; the epoch with the lowest "validation_loss", if any, is kept."""


def kept_model(task: Task[Any, Any]) -> nn.Module:
    """Return the model that is evaluated and saved: the averaged one, if there is one."""
    if task.average is None:
        return task.model
    averaged: nn.Module = task.average.module
    return averaged


@dataclass(frozen=True)
class Trainer:
    """Trains a task in a run's folder, in one process or in several, of which the first writes and evaluates.

    Each epoch adds a row to the log. A checkpoint is written at the start and the end, every 10 s or 250 steps, and
    at a stop request (SIGINT, SIGTERM), which raises KeyboardInterrupt after the current step.
    """

    run: Run
    device: torch.device
    precision: Literal["fp32", "bf16"]
    processes: Processes = ALONE
    tensorboard: bool = False
    """Also write the log's rows as TensorBoard event files."""
    quiet: bool = False
    """Show no progress bar."""

    def fit(self, task: Task[Any, Any], epochs: int, *, resume: bool = False) -> None:
        """Train until `epochs` epochs are completed, from the run's checkpoint if `resume` and there is one.

        Raises SolaError for an unreadable checkpoint, a folder that cannot be written, or a loss that is not finite.
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
                # the sum stays on the device, so that no step waits for it
                loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=self.device)
                clock.start()
                while state.step < steps:
                    batch = task.batch(state.epoch, state.step)
                    for group, rate in zip(optimizer.param_groups, full_rates, strict=True):
                        group["lr"] = rate * task.rate(state.epoch, state.step)
                    loss_sum += self.step(task, optimizer, batch).double() * len(batch)
                    state.add(len(batch))
                    clock.add(len(batch))
                    # at an epoch's last step the row comes first: a checkpoint is before a step or before an epoch
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
        """Take one optimizer step on a batch, and return its loss."""
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
        if self.processes.leads:  # a run that is killed from here on can be resumed
            checkpoints.save(TrainingState())
        return TrainingState()

    def _row(self, task: Task[Any, Any], epoch: int, loss: float, windows_per_s: float) -> dict[str, Any]:
        """Evaluate an epoch, save its weights if they are the best, and log its row."""
        if not math.isfinite(loss):
            raise SolaError(
                f"{self.run.folder}: the loss of epoch {epoch + 1} is {loss}; "
                "lower --learning-rate, or use --precision fp32"
            )
        row: dict[str, Any] = {"epoch": epoch + 1, "loss": loss, "windows_per_s": windows_per_s}
        if not self.processes.leads:
            return row
        model, training = kept_model(task), task.model.training
        model.eval()
        values = task.evaluate(model, epoch)
        model.train(training)
        if "validation_loss" in values:
            values |= {"best_validation_loss": self._keep_best(model, epoch, values["validation_loss"])}
        row = {"epoch": epoch + 1, "loss": loss, **values, "windows_per_s": windows_per_s}
        self.run.append(row)
        return row

    def _keep_best(self, model: nn.Module, epoch: int, loss: float) -> float:
        """Save the weights if their validation loss is the lowest so far; return the lowest one."""
        if not math.isfinite(loss):
            raise SolaError(f"the validation loss of epoch {epoch + 1} is {loss}; lower --learning-rate")
        best = BestWeights(self.run.best)
        if loss < best.loss():
            best.save(model, epoch + 1, loss)
        # from the log: the saved weights may be of a later epoch, which a resumed run repeats
        earlier = [float(row["validation_loss"]) for row in self.run.rows() if row["epoch"] <= epoch]
        return min([loss, *earlier])

    def _save_or_stop(
        self, checkpoints: Checkpoints, state: TrainingState, stop: Stop, loss_sum: Tensor | None, *, last: bool = False
    ) -> None:
        """Write a checkpoint if one is due, and raise KeyboardInterrupt if a process was asked to stop."""
        stopping = self.processes.agree_to_stop(stop.is_set, state.step, self.device)
        if self.processes.leads and (stopping or checkpoints.due(state)):
            state.loss_sum = 0.0 if loss_sum is None else float(loss_sum)
            checkpoints.save(state)
        if stopping and not last:
            self.processes.wait()  # a launcher kills the others when one ends
            raise KeyboardInterrupt


def backward(
    task: Task[AnyBatch, Any],
    batch: AnyBatch,
    device: torch.device,
    precision: Literal["fp32", "bf16"],
    processes: Processes = ALONE,
) -> Tensor:
    """Compute the gradients of a batch and return its loss; each process predicts a share and scores the batch."""
    share = batch if processes.count == 1 else batch.share(processes.share(len(batch)))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        prediction = task.predict(share)
    loss = task.score(processes.gather(prediction, len(batch)), share)
    loss.backward()  # type: ignore[no-untyped-call]
    processes.add_gradients(task.model.parameters())
    return loss.detach()


class Clock:
    """Windows per second over the steps of an epoch, without the first step of a process (warm-up)."""

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
            self.warm, self.only = True, (windows, time.perf_counter() - self.began)
            self._wait()
            self.start()

    def rate(self) -> float:
        """Return the rate since `start`; that of the warm-up step if it was the only one."""
        self._wait()
        windows, seconds = self.windows, time.perf_counter() - self.began
        if not windows:
            windows, seconds = self.only
        return windows / max(seconds, 1e-9)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
