"""The training task of a detector: augmented clips in random order, and validation without augmentation."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.detectors.base import Detector, DetectorConfig
from sola.detectors.clips import Clips, Example


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """A batch of clips on the device of the model."""

    inputs: tuple[Tensor, ...]
    """Arguments of the detector's `forward`, each [clips, ...]."""
    targets: Any
    """Targets of all clips of the whole batch, also in a share of it."""
    clips: int
    """Number of clips in the whole batch."""
    seed: tuple[int, ...]
    """Random seed of the step."""

    def __len__(self) -> int:
        return self.clips

    def share(self, part: slice) -> "ClipBatch":
        """Return the batch with the inputs of these clips only."""
        return replace(self, inputs=tuple(tensor[part] for tensor in self.inputs))


class DetectionTask:
    """Train a detector on clips (see `sola.training.trainer.Task`); `evaluate` returns the loss on `validation`."""

    def __init__(
        self, config: DetectorConfig, clips: Clips, classes: int, device: torch.device, validation: Clips | None = None
    ) -> None:
        self.config, self.clips, self.device, self.validation = config, clips, device, validation
        with torch.random.fork_rng(devices=[]):  # keeps the random state of the caller
            torch.manual_seed(config.seed)
            self.model: Detector = config.build(clips.values.shape[1], classes).to(device)
        self.average = config.averaged(self.model)
        self.clip_norm = config.clip_norm
        self.order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer of the config."""
        return self.config.optimizer(self.model)

    def rate(self, epoch: int, step: int) -> float:
        """Return the learning rate factor at a step."""
        return self.config.rate(epoch, step, self.steps(epoch))

    def steps(self, epoch: int) -> int:
        """Return the number of batches in an epoch; the last batch may be smaller."""
        return math.ceil(len(self.clips) / self.config.batch_size)

    def batch(self, epoch: int, step: int) -> ClipBatch:
        """Return a batch in random order; it depends only on the seed, the epoch and the step."""
        if self.order[0] != epoch:
            generator = np.random.default_rng((self.config.seed, epoch))
            self.order = epoch, generator.permutation(len(self.clips))
        size, seed = self.config.batch_size, (self.config.seed, epoch, step)
        index = self.order[1][step * size : (step + 1) * size]
        generator = np.random.default_rng(seed)
        examples = [self.config.augment(self.clips.example(i), generator) for i in index.tolist()]
        batch = self._collated(examples, seed)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed_of(seed))
            noise = self.model.noise(len(examples), self.device)
        return replace(batch, inputs=(*batch.inputs, *noise))

    def predict(self, batch: ClipBatch) -> Any:
        """Return the output of the model for the inputs of a batch."""
        return self.model(*batch.inputs)

    def score(self, prediction: Any, batch: ClipBatch) -> Float[Tensor, ""]:
        """Return the loss of a whole batch."""
        return score(self.model, prediction, batch)

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return the mean loss of a model in evaluation mode on the validation clips, or nothing without them."""
        if self.validation is None:
            return {}
        assert isinstance(model, Detector)
        size, total = self.config.batch_size, 0.0
        for first in range(0, len(self.validation), size):
            index = range(first, min(first + size, len(self.validation)))
            # use the same seed in every epoch, so that losses are comparable
            batch = self._collated([self.validation.example(i) for i in index], (first,))
            total += float(score(model, model(*batch.inputs), batch)) * len(batch)
        return {"validation_loss": total / len(self.validation)}

    def _collated(self, examples: list[Example], seed: tuple[int, ...]) -> ClipBatch:
        inputs = self.model.collate([example.tensor(self.device) for example in examples])
        targets = self.model.targets(
            [example.instances for example in examples], [example.labels for example in examples], inputs[0].shape[2]
        )
        return ClipBatch(inputs, targets, len(examples), seed)


def score(model: Detector, output: Any, batch: ClipBatch) -> Float[Tensor, ""]:
    """Return the loss for the output of a model on a whole batch."""
    return model.loss(output, batch.targets, torch.Generator().manual_seed(seed_of(batch.seed)))


def seed_of(values: tuple[int, ...]) -> int:
    """Combine several numbers into a 63-bit seed."""
    state: Any = np.random.SeedSequence(values).generate_state(1, np.uint64)[0]
    return int(state) >> 1
