"""The interface of a detector: its network, its training config, and its entry in `DETECTORS`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sola.core.checks import at_least, fraction, not_negative, one_of, positive
from sola.core.device import Device, Precision
from sola.data.segments import Segments
from sola.detectors.clips import Clipping, Example
from sola.detectors.postprocess.soft_nms import Decay


class Detector(nn.Module, ABC):
    """A network that detects actions in clips of snippet features.

    `forward` takes the tensors of `collate` and, in training, those of `noise`. It does not draw random numbers, so
    that a step depends only on its seed and not on the number of processes.
    """

    channels: int
    """Number of channels of the snippet features."""
    predicts_classes: bool
    """Whether segments have classes. Otherwise they are proposals with label 0, and a classifier assigns classes."""

    def collate(self, clips: Sequence[Float[Tensor, "channels _"]]) -> tuple[Tensor, ...]:
        """Return the arguments of `forward` for a batch, starting with the features [batch, channels, time].

        The default implementation stacks clips of equal length.
        """
        return (torch.stack([clip.T for clip in clips]).transpose(1, 2),)

    def noise(self, clips: int, device: torch.device) -> tuple[Float[Tensor, "batch ..."], ...]:
        """Draw additional arguments of `forward` in training from PyTorch's global generator; none by default."""
        return ()

    @abstractmethod
    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> Any:
        """Return the targets of `loss` for a batch.

        Args:
            instances: start and end of the instances of each clip (units).
            labels: class of each instance.
            length: length of the batch including padding (units).
        """

    @abstractmethod
    def loss(self, output: Any, targets: Any, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the training loss of a batch; random samples are drawn from `generator`."""

    @abstractmethod
    def decode(self, output: Any) -> list[Segments]:
        """Return the candidate segments of each clip (units), before suppression."""


@dataclass(frozen=True)
class DetectorConfig(ABC):
    """Settings shared by all detectors.

    A subclass adds the field `model`, its name in `sola.detectors.DETECTORS`.

    Raises:
        SolaError: if a value is out of range.
    """

    epochs: int = 9
    """Number of passes over the training clips."""
    batch_size: int = 16
    """Clips per batch."""
    learning_rate: float = 1e-3
    """Initial learning rate of the optimizer."""
    weight_decay: float = 1e-4
    """Weight decay of the optimizer."""
    clip_norm: float | None = None
    """Maximum norm of the gradients, or None for no clipping."""
    max_detections: int = 100
    """Maximum number of segments per video."""
    min_score: float = 0.0
    """Score that a segment must exceed after suppression."""
    voting_iou: float = 0.0
    """Minimum tIoU of a candidate that votes on the boundaries of a segment; 0 disables voting."""
    voting_weight: Literal["score", "score_iou"] = "score_iou"
    """Weight of a vote: the score of the candidate, or its score times its tIoU."""
    clip_to_video: bool = True
    """Whether to clip segments to the time that the features cover."""
    classes_per_proposal: int = 2
    """Number of classes assigned to each proposal, for detectors without classes. Training increases it if more classes
    share an annotated instance and a snippet classifier assigns the classes."""
    class_score: Literal["probability", "share"] = "probability"
    """Score of a class: its probability, or its share of the two highest probabilities (G-TAD on HACS)."""
    classifier_epochs: int = 100
    """Epochs of the snippet classifier that assigns classes to proposals; 0 trains no classifier. If instances of
    several classes overlap, it trains for at least 4,000 steps."""
    seed: int = 0
    """Random seed for the initial weights, the order of clips, and augmentation."""
    precision: Precision = "auto"
    """Precision of the forward pass; auto selects bf16 if the device supports it."""
    device: Device = "auto"
    """Device to train on; auto selects the GPU if there is one."""

    def __post_init__(self) -> None:
        at_least(
            1,
            epochs=self.epochs,
            batch_size=self.batch_size,
            max_detections=self.max_detections,
            classes_per_proposal=self.classes_per_proposal,
        )
        at_least(0, classifier_epochs=self.classifier_epochs, seed=self.seed)
        positive(learning_rate=self.learning_rate, clip_norm=self.clip_norm)
        not_negative(weight_decay=self.weight_decay, min_score=self.min_score)
        fraction("[0, 1]", voting_iou=self.voting_iou)
        one_of(Literal["score", "score_iou"], voting_weight=self.voting_weight)
        one_of(Literal["probability", "share"], class_score=self.class_score)
        # these check their own values
        self.clipping()
        self.decay()

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the detector in `sola.detectors.DETECTORS`."""

    @property
    @abstractmethod
    def predicts_classes(self) -> bool:
        """Whether the detector predicts classes. Otherwise it predicts proposals."""

    @property
    def detection_batch_size(self) -> int:
        """Clips per forward pass in detection; must be 1 if clips differ in length."""
        return self.batch_size

    @abstractmethod
    def clipping(self) -> Clipping:
        """Return the settings that cut videos into clips."""

    @abstractmethod
    def decay(self) -> Decay:
        """Return the score decay of overlapping segments in suppression."""

    @abstractmethod
    def build(self, channels: int, classes: int) -> Detector:
        """Return an untrained network for this number of feature channels and classes."""

    @abstractmethod
    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of the model, at the full learning rate."""

    @abstractmethod
    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the learning rate factor at a step of an epoch with `steps` steps; both count from 0."""

    def averaged(self, model: nn.Module) -> AveragedModel | None:
        """Return the model with averaged weights to evaluate and save, or None for no averaging (the default)."""
        return None

    def augment(self, example: Example, generator: np.random.Generator) -> Example:
        """Return a random variation of a training clip; by default, the clip itself."""
        return example


@dataclass(frozen=True)
class DetectorFamily:
    """A kind of detector: its config class and its recipes."""

    name: str
    """Name in `sola.detectors.DETECTORS`."""
    config: type[DetectorConfig]
    """Config class."""
    recipes: Mapping[str, DetectorConfig]
    """Config of each recipe, by name."""

    def recipe(self, name: str) -> DetectorConfig:
        """Return the config of the named recipe.

        Raises:
            SolaError: if the name is unknown.
        """
        one_of(self.recipes, recipe=name)
        return self.recipes[name]
