"""Settings for training a SoLa module."""

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
    """Settings for training one SoLa module; the defaults are Table 4a of the supplement.

    Raises:
        SolaError: if a value is out of range.

    Examples:
        >>> import sola
        >>> config = sola.TrainingConfig(step=2, epochs=1)
        >>> config.window  # snippets: 8 positions 2 apart, and a margin of 4 on each side
        23
        >>> config.module(channels=16).output_channels
        16
    """

    step: int = 8
    """Distance s between neighboring positions of the similarity map (snippets)."""
    k: float = 16.0
    """K of the target similarity sigmoid(K / distance²); the distance is in positions."""
    conditioning: Conditioning = "none"
    """Preprocessing of each video: center subtracts its mean, scale divides by one scale for the whole data set."""
    smoothing: int = 1
    """Length of the moving average over the module's output (snippets, odd); 1 disables it."""
    hidden: int = 1024
    """Number of channels H of the two hidden layers of each module."""
    kernel_size: int = 5
    """Kernel size of the first convolution (snippets, odd)."""
    form: Form = "adapter"
    """Form of the module: adapter is x + gate * f(x), direct is f(x) (Table 1)."""
    gate: Gate = "tanh"
    """Gate of the adapter: tanh as in the published code, or linear as in the supplement."""
    loss: Loss = "similarity_matching"
    """Training loss (Table 2)."""
    probability: Probability = "cosine"
    """Mapping from similarity to probability in the similarity_matching loss."""
    temperature: float = 1.0
    """Temperature of the three contrastive losses; 1 in the supplement."""
    projector: ProjectorKind = "asymmetric"
    """Projector: asymmetric projects one side of the similarity map, symmetric projects neither (Table 6)."""
    projector_hidden: int = 512
    """Number of hidden channels of the projector."""
    dropout: float = 0.0
    """Share of input values set to zero in training, 0 to 1; 0 in the paper."""
    positions: int = 8
    """Number of positions n per side of the similarity map."""
    margin: int = 4
    """Length of a window before its first position and after its last one (snippets)."""
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
    """Random seed for the initial weights, the windows and dropout."""
    precision: Precision = "auto"
    """Precision of the forward pass; auto selects bf16 if the device supports it."""
    device: Device = "auto"
    """Device to train on; auto selects the GPU if there is one."""

    def __post_init__(self) -> None:
        counts = ("step", "hidden", "projector_hidden", "windows_per_video", "epochs", "batch_size")
        at_least(1, **{name: getattr(self, name) for name in counts})
        at_least(0, seed=self.seed)
        at_least(2, positions=self.positions)
        odd(kernel_size=self.kernel_size, smoothing=self.smoothing)
        if self.margin < self.kernel_size // 2:
            raise SolaError(
                f"margin={self.margin}: expected at least {self.kernel_size // 2}, "
                f"half of kernel_size={self.kernel_size}"
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
        """Length of a training window (snippets)."""
        return window_length(self.positions, self.step, self.margin)

    @property
    def shortest_step(self) -> int:
        """The step (snippets)."""
        return self.step

    def module(self, channels: int) -> "SoLa":
        """Return an untrained module with this config for features with `channels` channels."""
        from sola.softlanding.network import SoLa

        names = ("hidden", "kernel_size", "form", "gate", "conditioning", "smoothing")
        return SoLa(channels, **{name: getattr(self, name) for name in names})
