"""What all trainings of heads have in common: clips in random order, validated every epoch, the best epoch kept."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.detectors.clips import Clips
from sola.detectors.config import DetectorConfig
from sola.training.distributed import ALONE, Processes
from sola.training.run import Run

BEST = "best.safetensors"
"""In the run's folder: the weights of the epoch of the lowest validation loss so far."""

Targets = TypeVar("Targets")
Prediction = TypeVar("Prediction")
Head = TypeVar("Head", bound=nn.Module)


@dataclass(frozen=True)
class ClipBatch(Generic[Targets]):
    """A batch on the model's device: this process's share of the features, all of the targets."""

    features: Float[Tensor, "share channels time"]
    targets: Targets
    total: int
    """Clips in the whole batch."""
    seed: tuple[int, ...]
    """Of whatever the step draws."""


class DetectionTask(ABC, Generic[Targets, Prediction, Head]):
    """The engine's task but for what a head's clips, targets and loss are.

    Args:
        config: of the training.
        clips: that are learned.
        folder: the run's, for the weights of the best epoch.
        device: of the model.
        validation: clips whose loss picks the epoch; None keeps the last.
        model: all that is trained.
        head: the part of it that is a head.
        average: what follows the model and is evaluated in its place, if anything is.
        processes: that train together.
    """

    def __init__(
        self,
        config: DetectorConfig,
        clips: Clips,
        folder: Path,
        device: torch.device,
        validation: Clips | None,
        model: nn.Module,
        head: Head,
        average: AveragedModel | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.processes = processes
        self.config, self.clips, self.device, self.validation = config, clips, device, validation
        self.run, self.best = Run(folder), folder / BEST
        self.model, self.head, self.average = model, head, average
        self.order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the model, at its full learning rate."""

    @abstractmethod
    def rate(self, epoch: int, step: int) -> float:
        """Share of the learning rate at that step."""

    @property
    def clip_norm(self) -> float | None:
        """Norm to which gradients are clipped; None is not."""
        return None

    @abstractmethod
    def training_batch(self, index: np.ndarray, seed: tuple[int, ...]) -> ClipBatch[Targets]:
        """This process's share of these clips, augmented from the seed, and the targets of all."""

    @abstractmethod
    def validation_batch(self, clips: Clips, index: np.ndarray) -> ClipBatch[Targets]:
        """These clips as they are, and their targets."""

    @abstractmethod
    def predict(self, batch: ClipBatch[Targets]) -> Prediction:
        """The head's answer."""

    @abstractmethod
    def score(self, prediction: Prediction, batch: ClipBatch[Targets]) -> Tensor:
        """The loss, a scalar."""

    @abstractmethod
    def evaluated_head(self) -> Head:
        """The head whose weights are judged and kept."""

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; the last may be smaller."""
        return math.ceil(len(self.clips) / self.config.batch_size)

    def batch(self, epoch: int, step: int) -> ClipBatch[Targets]:
        """That batch of the epoch's order, which is drawn from the seed."""
        if self.order[0] != epoch:
            generator = np.random.default_rng((self.config.seed, epoch))
            self.order = epoch, generator.permutation(len(self.clips))
        size = self.config.batch_size
        index = self.order[1][step * size : (step + 1) * size]
        return self.training_batch(index, (self.config.seed, epoch, step))

    def windows(self, batch: ClipBatch[Targets]) -> int:
        """Clips in the batch."""
        return batch.total

    def measures(self, epoch: int) -> dict[str, float]:
        """The loss on the validation clips, where there are some; the weights are kept if it is the lowest so far."""
        if self.validation is None:
            return {}
        loss = self.validation_loss(self.validation)
        if not math.isfinite(loss):
            raise SolaError(f"the validation loss of epoch {epoch + 1} is {loss}; lower --learning-rate")
        if loss < best_so_far(self.best):
            with replacing(self.best) as aside:
                weights = {name: value.cpu().contiguous() for name, value in self.evaluated_head().state_dict().items()}
                save_file(weights, aside, metadata={"best": json.dumps({"epoch": epoch + 1, "loss": loss})})
        # by the log: the weights may be of an epoch that a resumed run repeats, and has not come to yet
        before = [row["validation_loss"] for row in self.run.rows() if row["epoch"] <= epoch]
        return {"validation_loss": loss, "best_validation_loss": min([loss, *before])}

    @torch.inference_mode()
    def validation_loss(self, clips: Clips) -> float:
        """Mean loss over batches of clips in their order, in fp32, of the weights that would be kept."""
        trained, self.head = self.head, self.evaluated_head()
        self.model.eval()
        self.head.eval()
        size, total = self.config.batch_size, 0.0
        for start in range(0, len(clips), size):
            index = np.arange(start, min(start + size, len(clips)))
            batch = self.validation_batch(clips, index)
            total += float(self.score(self.predict(batch), batch)) * len(index)
        self.head = trained
        self.model.train()
        return total / len(clips)

    def finished_head(self) -> tuple[Head, int | None]:
        """The head to keep, and the epoch that it is of where validation chose it."""
        head = self.evaluated_head()
        if self.validation is None or not self.best.is_file():
            return head.eval(), None
        with damage_told(self.best):
            head.load_state_dict(load_file(self.best))
            with safe_open(self.best, framework="pt") as stream:
                return head.eval(), int(json.loads(stream.metadata()["best"])["epoch"])


def seed_of(values: tuple[int, ...]) -> int:
    """One number of 63 bits that follows from several."""
    state: Any = np.random.SeedSequence(values).generate_state(1, np.uint64)[0]
    return int(state) >> 1


def best_so_far(path: Path) -> float:
    """The lowest validation loss that a run has kept weights of; infinite where there are none."""
    if not path.is_file():
        return math.inf
    with damage_told(path), safe_open(path, framework="pt") as stream:
        return float(json.loads(stream.metadata()["best"])["loss"])


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Raise SolaError where the best weights of a run cannot be read."""
    try:
        yield
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SolaError(f"{path}: not the best weights of this run ({reason}); start again with --overwrite") from None
