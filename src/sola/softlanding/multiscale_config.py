"""Settings for training a multi-scale module."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from sola.core.checks import at_least, odd
from sola.core.device import Device, Precision
from sola.softlanding.config import TrainingConfig

if TYPE_CHECKING:
    from sola.softlanding.multiscale import MultiScaleSoLa

LARGEST_STEP = 8
"""Default largest step (snippets)."""


@dataclass(frozen=True)
class MultiScaleConfig:
    """Settings for training a multi-scale module.

    Raises:
        SolaError: if a value is out of range.

    Examples:
        >>> import sola
        >>> config = sola.MultiScaleConfig(largest_step=4, output_channels="same")
        >>> config.steps
        (1, 2, 4)
        >>> config.module(channels=16).output_channels
        16
    """

    largest_step: int = LARGEST_STEP
    """Largest step (snippets); there is one module for each of the steps 1, 2, 4, ... up to it."""
    random: bool = True
    """Whether to add modules with fixed random weights at the same steps."""
    average: int = 9
    """Length of the moving average over the conditioned features (snippets, odd)."""
    wide_average: int | None = 33
    """Length of a second, longer moving average (snippets, odd), or None to omit it."""
    reduced: int | None = 128
    """Number of principal components of the input for all parts except the first average, or None for all channels."""
    output_channels: int | Literal["same"] | None = None
    """Number of output channels, as principal components of all parts: a number, same as the input, or None for all."""
    k: float = 16.0
    """K of the target similarity sigmoid(K / distance²); the distance is in positions."""
    hidden: int = 256
    """Number of channels H of the two hidden layers of each module."""
    kernel_size: int = 5
    """Kernel size of the first convolution (snippets, odd)."""
    dropout: float = 0.8
    """Share of input values set to zero in training, 0 to 1."""
    positions: int = 8
    """Number of positions n per side of the similarity map."""
    margin: int = 4
    """Length of a window before its first position and after its last one (snippets)."""
    batches: int = 100
    """Batches per epoch."""
    epochs: int = 8
    """Number of epochs."""
    batch_size: int = 64
    """Windows per batch and step."""
    learning_rate: float = 5e-3
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
        at_least(1, largest_step=self.largest_step, reduced=self.reduced, batches=self.batches)
        if self.output_channels != "same":
            at_least(1, output_channels=self.output_channels)
        odd(average=self.average, wide_average=self.wide_average)
        self.part(1)  # checks the other values

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps of the modules (snippets)."""
        return tuple(2**power for power in range(self.largest_step.bit_length()))

    @property
    def window(self) -> int:
        """Length of the shortest training window (snippets)."""
        return self.part(1).window

    @property
    def shortest_step(self) -> int:
        """Step of the shortest windows (snippets)."""
        return 1

    def part(self, step: int) -> TrainingConfig:
        """Return the settings of the module with this step; each module has its own windows and dropout."""
        shared = {field.name for field in fields(TrainingConfig)} & {field.name for field in fields(self)}
        values = {name: getattr(self, name) for name in shared}
        return TrainingConfig(step=step, projector="symmetric", **values)

    def module(self, channels: int) -> "MultiScaleSoLa":
        """Return an untrained module with this config for features with `channels` channels."""
        from sola.softlanding.multiscale import MultiScaleSoLa

        reduced = None if self.reduced is None or self.reduced >= channels else self.reduced
        return MultiScaleSoLa(
            channels,
            steps=self.steps,
            random_steps=self.steps if self.random else (),
            hidden=self.hidden,
            kernel_size=self.kernel_size,
            reduced=reduced,
            average=self.average,
            wide_average=self.wide_average,
            mapped=channels if self.output_channels == "same" else self.output_channels,
        )
