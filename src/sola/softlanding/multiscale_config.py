"""The settings of a training of a multi-scale module."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from sola.core.checks import at_least, odd
from sola.core.device import Device, Precision
from sola.softlanding.config import TrainingConfig

if TYPE_CHECKING:
    from sola.softlanding.multiscale import MultiScaleSoLa

LARGEST_STEP = 8
"""Largest step unless another one is named."""


@dataclass(frozen=True)
class MultiScaleConfig:
    """The settings of one training of modules at several steps, beside the input.

    Raises SolaError for a value out of range.
    """

    largest_step: int = LARGEST_STEP
    """Largest step (snippets): there is a module for each of the steps 1, 2, 4, ... up to it."""
    random: bool = True
    """Random modules at the same steps beside the trained ones."""
    average: int = 9
    """Length of the moving average of the conditioned features beside the modules, in snippets, odd."""
    wide_average: int | None = 33
    """Length of a second, longer moving average of them, in snippets, odd; None is none."""
    reduced: int | None = 128
    """Principal components that all parts but the first average see of wider features; None is all channels."""
    output_channels: int | Literal["same"] | None = None
    """Channels of the result, by principal components of all parts: a number, same as the input, or None for all."""
    k: float = 16.0
    """K of the target sigmoid(K / distance²); distance in positions."""
    hidden: int = 256
    """Channels of the two hidden layers of each module (H)."""
    kernel_size: int = 5
    """Kernel size of the first convolution, in snippets; odd."""
    dropout: float = 0.8
    """Share of input values that are zeroed in training."""
    positions: int = 8
    """Positions per side of the similarity map (n)."""
    margin: int = 4
    """Snippets of a window before its first and after its last position."""
    batches: int = 100
    """Batches per epoch."""
    epochs: int = 8
    """Number of epochs."""
    batch_size: int = 64
    """Windows per batch, of each step."""
    learning_rate: float = 5e-3
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
        at_least(1, largest_step=self.largest_step, reduced=self.reduced, batches=self.batches)
        if self.output_channels != "same":
            at_least(1, output_channels=self.output_channels)
        odd(average=self.average, wide_average=self.wide_average)
        self.part(1)  # checks the others

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the modules, in snippets."""
        return tuple(2**power for power in range(self.largest_step.bit_length()))

    @property
    def window(self) -> int:
        """Snippets in the shortest training window."""
        return self.part(1).window

    @property
    def shortest_step(self) -> int:
        """The step of the shortest windows."""
        return 1

    def part(self, step: int) -> TrainingConfig:
        """Return the settings of the module of one step; each draws its own windows and dropout."""
        shared = {field.name for field in fields(TrainingConfig)} & {field.name for field in fields(self)}
        values = {name: getattr(self, name) for name in shared}
        return TrainingConfig(step=step, projector="symmetric", **values)

    def module(self, channels: int) -> "MultiScaleSoLa":
        """Return an untrained module of this config."""
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
