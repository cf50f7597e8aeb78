"""All that a training is determined by, beside the features."""

import math
from dataclasses import dataclass
from typing import Literal, cast

from sola.core.device import Device, Precision
from sola.core.errors import SolaError
from sola.softlanding.losses import Loss, Probability
from sola.softlanding.network import Conditioning, Form, Gate, SoLa
from sola.softlanding.windows import window_length


@dataclass(frozen=True)
class TrainingConfig:
    """The values of one training; the defaults are Table 4a."""

    step: int | Literal["auto"] = 8
    """s: snippets between two positions of the gathered map ("auto": from the features)."""
    k: float | Literal["auto"] = 16.0
    """K of the target λ = sigmoid(K / distance²) ("auto": from the features)."""
    conditioning: Conditioning | Literal["auto"] = "none"
    """What is done to a video before the module: its mean removed, one scale for all, both, nothing, or "auto"."""
    smoothing: int | Literal["auto"] = 1
    """Snippets of the moving average after the module, odd; 1 is none ("auto": from the features)."""
    hidden: int = 1024
    """H: channels of the two hidden layers."""
    kernel_size: int = 5
    """Snippets that the first convolution sees."""
    form: Form = "adapter"
    """x + gate·f(x), or f(x) alone (Table 1)."""
    gate: Gate = "tanh"
    """How the gate follows its parameter α: tanh(α) as published, or α as in the supplement."""
    loss: Loss = "similarity_matching"
    """The objective (Table 2)."""
    probability: Probability = "cosine"
    """How similarity matching turns a similarity into a probability."""
    temperature: float = 1.0
    """Divides the similarity in the three contrastive losses; 1 is none, as in the supplement."""
    projector: Literal["asymmetric", "symmetric"] = "asymmetric"
    """A projector on one side of the similarity map, or none (Table 6)."""
    projector_hidden: int = 512
    """Hidden channels of the projector."""
    dropout: float = 0.0
    """Share of the values zeroed in what the module sees in training (ours; 0 as published)."""
    positions: int = 8
    """n: the similarity map is n × n."""
    margin: int = 4
    """Snippets of a window before its first and after its last position."""
    windows_per_video: int | Literal["auto"] = 1
    """Windows drawn from each video in an epoch ("auto": as many as make eight batches)."""
    epochs: int | Literal["auto"] = 500
    """Times that every video is visited ("auto": about 800 batches in all)."""
    batch_size: int = 256
    """Windows in a batch."""
    learning_rate: float = 1e-4
    """Of AdamW, constant."""
    weight_decay: float = 0.01
    """Of AdamW."""
    seed: int = 0
    """Of the initial weights and of the windows drawn."""
    precision: Precision = "auto"
    """fp32, bf16, or bf16 where the device has it."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""

    def __post_init__(self) -> None:
        at_least_one = ("step", "hidden", "projector_hidden", "windows_per_video", "epochs", "batch_size")
        for name in at_least_one:
            value = getattr(self, name)
            if value != "auto" and value < 1:
                raise SolaError(f"{name}={value}: expected a whole number of at least 1")
        if self.positions < 2:
            raise SolaError(f"positions={self.positions}: expected at least 2, there is nothing to match else")
        if self.margin < self.kernel_size // 2:
            raise SolaError(
                f"margin={self.margin}: expected at least {self.kernel_size // 2}, "
                f"which the first convolution of {self.kernel_size} snippets sees on either side"
            )
        for name in ("learning_rate", "temperature", "k"):
            value = getattr(self, name)
            if value != "auto" and not (value > 0 and math.isfinite(value)):
                raise SolaError(f"{name}={value}: expected a number above 0")
        if not 0 <= self.dropout < 1:
            raise SolaError(f"dropout={self.dropout}: expected a share of at least 0 and below 1")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise SolaError(f"weight_decay={self.weight_decay}: expected a number of at least 0")
        if self.seed < 0:
            raise SolaError(f"seed={self.seed}: expected a whole number of at least 0")

    def must_be_settled(self) -> None:
        """Raise SolaError if a value still is "auto"."""
        for name, value in vars(self).items():
            if value == "auto" and name not in ("precision", "device"):
                raise SolaError(f"{name}=auto: only features can tell; pass the config through sola.settle first")

    @property
    def window(self) -> int:
        """Snippets in a training window."""
        return window_length(self.positions, cast(int, self.step), self.margin)

    def module(self, channels: int) -> SoLa:
        """An untrained module of this config."""
        return SoLa(
            channels,
            hidden=self.hidden,
            kernel_size=self.kernel_size,
            form=self.form,
            gate=self.gate,
            conditioning=cast(Conditioning, self.conditioning),
            smoothing=cast(int, self.smoothing),
        )
