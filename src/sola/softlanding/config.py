"""The settings of a training of a SoLa module."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sola.core.checks import at_least, fraction, not_negative, odd, one_of, positive
from sola.core.device import Device, Precision
from sola.core.errors import SolaError
from sola.softlanding.kinds import Conditioning, Form, Gate, Loss, Probability, ProjectorKind
from sola.softlanding.windows import window_length

if TYPE_CHECKING:
    from sola.softlanding.network import SoLa


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of one training; the defaults are Table 4a of the supplement.

    Raises SolaError for a value out of range.
    """

    step: int = 8
    """Snippets between two positions of the similarity map (s)."""
    k: float = 16.0
    """K of the target sigmoid(K / distance²); distance in positions."""
    conditioning: Conditioning = "none"
    """Conditioning of a video before the module: remove its mean, divide by one scale for all videos, both, or none."""
    smoothing: int = 1
    """Length of the moving average after the module, in snippets; odd, 1 for none."""
    hidden: int = 1024
    """Channels of the two hidden layers (H)."""
    kernel_size: int = 5
    """Kernel size of the first convolution, in snippets; odd."""
    form: Form = "adapter"
    """adapter: x + gate * f(x); direct: f(x) (Table 1)."""
    gate: Gate = "tanh"
    """Gate of the adapter's parameter: tanh as in the published code, linear as in the supplement."""
    loss: Loss = "similarity_matching"
    """Training objective (Table 2)."""
    probability: Probability = "cosine"
    """Mapping from similarity to probability in similarity matching."""
    temperature: float = 1.0
    """Temperature of the three contrastive losses; 1 as in the supplement."""
    projector: ProjectorKind = "asymmetric"
    """Projector on one side of the similarity map, or none (Table 6)."""
    projector_hidden: int = 512
    """Hidden channels of the projector."""
    dropout: float = 0.0
    """Share of input values that are zeroed in training (ours; 0 as published)."""
    positions: int = 8
    """Positions per side of the similarity map (n)."""
    margin: int = 4
    """Snippets of a window before its first and after its last position."""
    windows_per_video: int = 1
    """Windows drawn from each video per epoch."""
    epochs: int = 500
    """Number of epochs."""
    batch_size: int = 256
    """Windows per batch."""
    learning_rate: float = 1e-4
    """AdamW learning rate, constant."""
    weight_decay: float = 0.01
    """AdamW weight decay."""
    seed: int = 0
    """Seed of the initial weights, the windows and dropout."""
    precision: Precision = "auto"
    """Precision of the predictions; auto: bf16 where the device has it."""
    device: Device = "auto"
    """Device; auto: the GPU where there is one."""

    def __post_init__(self) -> None:
        counts = ("step", "hidden", "projector_hidden", "windows_per_video", "epochs", "batch_size")
        at_least(1, **{name: getattr(self, name) for name in counts})
        at_least(0, seed=self.seed)
        at_least(2, positions=self.positions)
        odd(kernel_size=self.kernel_size, smoothing=self.smoothing)
        if self.margin < self.kernel_size // 2:
            raise SolaError(
                f"margin={self.margin}: expected at least {self.kernel_size // 2}, "
                f"which the first convolution of {self.kernel_size} snippets sees on either side"
            )
        positive(learning_rate=self.learning_rate, temperature=self.temperature, k=self.k)
        not_negative(weight_decay=self.weight_decay)
        fraction("[0, 1)", dropout=self.dropout)
        one_of(Conditioning, conditioning=self.conditioning)
        one_of(Form, form=self.form)
        one_of(Gate, gate=self.gate)
        one_of(Loss, loss=self.loss)
        one_of(Probability, probability=self.probability)
        one_of(ProjectorKind, projector=self.projector)

    @property
    def window(self) -> int:
        """Snippets in a training window."""
        return window_length(self.positions, self.step, self.margin)

    @property
    def shortest_step(self) -> int:
        """The only step."""
        return self.step

    def module(self, channels: int) -> "SoLa":
        """Return an untrained module of this config."""
        from sola.softlanding.network import SoLa

        names = ("hidden", "kernel_size", "form", "gate", "conditioning", "smoothing")
        return SoLa(channels, **{name: getattr(self, name) for name in names})
