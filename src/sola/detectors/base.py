"""The interface of a detector: its network, the config that determines its training, and its entry in the table."""

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

    `forward` takes the tensors of `collate` and, in training, those of `noise`. It draws no random numbers itself, so
    that a step depends only on its seed however many processes share the batch.
    """

    channels: int
    """Width of the snippet features."""
    predicts_classes: bool
    """Whether segments have classes, or are proposals with label 0 that a classifier names."""

    def collate(self, clips: Sequence[Float[Tensor, "channels _"]]) -> tuple[Tensor, ...]:
        """Return the arguments of `forward` for a batch: first the features [batch, channels, time].

        The default stacks clips of equal length.
        """
        return (torch.stack([clip.T for clip in clips]).transpose(1, 2),)

    def noise(self, clips: int, device: torch.device) -> tuple[Float[Tensor, "batch ..."], ...]:
        """Draw the further arguments of `forward` in training, from PyTorch's global generator; none by default."""
        return ()

    @abstractmethod
    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> Any:
        """Return the targets of `loss` for a batch of this length in units, padding included.

        Each clip has instances, start and end in units, and their classes.
        """

    @abstractmethod
    def loss(self, output: Any, targets: Any, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the training loss of a batch; what it samples comes from `generator`."""

    @abstractmethod
    def decode(self, output: Any) -> list[Segments]:
        """Return the candidate segments of each clip in units, before suppression."""


@dataclass(frozen=True)
class DetectorConfig(ABC):
    """Settings that all detectors share.

    A subclass adds the field `model`, its name in `sola.detectors.DETECTORS`. Raises SolaError for a value out of
    range.
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
    """Maximum norm of the gradients; None disables clipping."""
    max_detections: int = 100
    """Maximum number of segments per video."""
    min_score: float = 0.0
    """Score that a segment must exceed after suppression."""
    voting_iou: float = 0.0
    """Minimum tIoU at which candidates vote on a segment's boundaries; 0 disables voting."""
    voting_weight: Literal["score", "score_iou"] = "score_iou"
    """Weight of a candidate's vote: its score, or its score times its tIoU."""
    clip_to_video: bool = True
    """Clipping of segments to the time that the video's features cover."""
    classes_per_proposal: int = 2
    """Number of classes assigned to each proposal, for detectors that predict none; where the snippet classifier names
    proposals, at least as many as share an annotated instance."""
    class_score: Literal["probability", "share"] = "probability"
    """Class score: its probability, or its share of the two most probable classes (G-TAD on HACS)."""
    classifier_epochs: int = 100
    """Epochs of the snippet classifier that names proposals, or as many as 4,000 steps take where instances of several
    classes overlap, if those are more; 0 trains none."""
    seed: int = 0
    """Random seed of the initial weights, the order of clips, and augmentation."""
    precision: Precision = "auto"
    """Floating-point precision: fp32, bf16, or auto for bf16 where the device supports it."""
    device: Device = "auto"
    """Device to train on; auto uses the GPU if there is one."""

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
        # both check their values
        self.clipping()
        self.decay()

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the detector in `sola.detectors.DETECTORS`."""

    @property
    @abstractmethod
    def predicts_classes(self) -> bool:
        """Whether detections have classes, or are proposals that a classifier names."""

    @property
    def detection_batch_size(self) -> int:
        """Clips per forward pass in detection; 1 where clips differ in length."""
        return self.batch_size

    @abstractmethod
    def clipping(self) -> Clipping:
        """Return how videos are cut into clips."""

    @abstractmethod
    def decay(self) -> Decay:
        """Return how suppression lowers the scores of overlapping segments."""

    @abstractmethod
    def build(self, channels: int, classes: int) -> Detector:
        """Return an untrained network for features of this width and this number of classes."""

    @abstractmethod
    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of the model, at its full learning rate."""

    @abstractmethod
    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the share of the learning rate at a step of an epoch of `steps`; both count from 0."""

    def averaged(self, model: nn.Module) -> AveragedModel | None:
        """Return the average of the weights that is evaluated and kept in their place; None by default."""
        return None

    def augment(self, example: Example, generator: np.random.Generator) -> Example:
        """Return a random variation of a training clip; the clip itself by default."""
        return example


@dataclass(frozen=True)
class DetectorFamily:
    """A detector's entry in the table: the class of its configs, and named settings."""

    name: str
    config: type[DetectorConfig]
    recipes: Mapping[str, DetectorConfig]

    def recipe(self, name: str) -> DetectorConfig:
        """Return a config by the name of its recipe; raises SolaError for an unknown name."""
        one_of(self.recipes, recipe=name)
        return self.recipes[name]
