"""A multi-scale network: SoLa modules at several steps next to the input, so that no time scale has to be chosen."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.core.checks import at_least, odd
from sola.core.errors import SolaError
from sola.softlanding.kinds import Form
from sola.softlanding.moments import Moments, leading, whitening
from sola.softlanding.network import SoLa, moving_average

SHRINKAGE = 0.1
"""Share of the mean variance that is added to the variance of every direction before whitening."""

CONSTANT = 1e-10
"""Largest variance, as a share of the mean square, at which a part counts as constant."""


class MultiScaleSoLa(nn.Module):
    """Map features [batch, time, C] to several concatenated parts [batch, time, output_channels].

    Each part has mean 0 and variance 1 on the training videos, where the variance is the mean over its channels.

    The input is *conditioned* first: the scene of the video is subtracted, and the result is divided by one scale. The
    scene is the mean of the video, shrunk toward the mean of all videos so that `scene_share` of the difference
    remains.

    The parts are, in order:

    1. for each of `steps`, a trained adapter with a moving average over 2·step + 1 snippets;
    2. for each of `random_steps`, a direct module with fixed random weights and the same moving average;
    3. the conditioned features, averaged over `average` snippets;
    4. the conditioned features, averaged over `wide_average` snippets;
    5. the conditioned features, averaged over `average` snippets and whitened. Whitening amplifies what remains of the
       scene, so this part has a standard deviation of 1 - `scene_share`.

    For all parts except the third, a fixed linear map first reduces the conditioned features to `reduced` channels.

    Args:
        channels: number of feature channels C.
        steps: steps of the trained modules (snippets).
        random_steps: steps of the random modules (snippets).
        hidden: hidden channels of each module.
        kernel_size: kernel size of each module's first convolution (snippets, odd).
        reduced: channels of the reduced features, or None for C.
        average: length of the short moving average (snippets, odd).
        wide_average: length of the long moving average (snippets, odd), or None to omit part 4.
        form: form of the modules of `steps`: "adapter", or "direct" for an untrained baseline.
        mapped: channels of the output after a fixed linear map, or None for the channels of all parts.

    Raises:
        SolaError: if a value is out of range.

    Examples:
        >>> import sola, torch
        >>> network = sola.MultiScaleSoLa(16, steps=(1, 2), wide_average=33, hidden=8)
        >>> network.output_channels  # two modules and three averages
        80
        >>> tuple(network(torch.zeros(1, 40, 16)).shape)
        (1, 40, 80)
    """

    center: Tensor
    scene_share: Tensor
    scale: Tensor
    reduction: Tensor
    white: Tensor
    part_means: Tensor
    part_weights: Tensor
    mapping: Tensor

    def __init__(
        self,
        channels: int,
        *,
        steps: Sequence[int] = (1, 2, 4, 8),
        random_steps: Sequence[int] = (),
        hidden: int = 256,
        kernel_size: int = 5,
        reduced: int | None = None,
        average: int = 9,
        wide_average: int | None = None,
        mapped: int | None = None,
        form: Form = "adapter",
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, hidden=hidden, reduced=reduced, mapped=mapped)
        odd(average=average, wide_average=wide_average, kernel_size=kernel_size)
        for step in (*steps, *random_steps):
            at_least(1, steps=step)
        self.channels, self.steps, self.random_steps = channels, tuple(steps), tuple(random_steps)
        self.hidden, self.kernel_size, self.reduced, self.average = hidden, kernel_size, reduced, average
        self.wide_average, self.mapped = wide_average, mapped
        if reduced is not None and reduced > channels:
            raise SolaError(f"reduced={reduced}: expected at most the {channels} channels of the features")
        width = reduced or channels
        self.parts = nn.ModuleList(
            [
                *(_module(width, form, step, hidden, kernel_size) for step in self.steps),
                *(_module(width, "direct", step, hidden, kernel_size) for step in self.random_steps),
            ]
        )
        averages = [channels, width, width] if wide_average else [channels, width]
        self.widths = [width] * len(self.parts) + averages
        if mapped is not None and mapped > sum(self.widths):
            raise SolaError(f"mapped={mapped}: expected at most the {sum(self.widths)} channels of all parts")
        self.register_buffer("center", torch.zeros(channels))
        self.register_buffer("scene_share", torch.ones(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("reduction", torch.eye(channels)[:, :width] if reduced else torch.empty(0))
        self.register_buffer("white", torch.eye(width))
        self.register_buffer("part_means", torch.zeros(sum(self.widths)))
        self.register_buffer("part_weights", torch.ones(len(self.widths)))
        self.register_buffer("mapping", torch.eye(sum(self.widths))[:, :mapped] if mapped else torch.empty(0))

    @property
    def output_channels(self) -> int:
        """Number of output channels."""
        return self.mapped or sum(self.widths)

    @property
    def smoothings(self) -> list[int]:
        """Length of the moving average after each module (snippets)."""
        return [module.smoothing for module in self.modules_of_steps]

    @property
    def modules_of_steps(self) -> list[SoLa]:
        """The modules of `steps`, followed by the modules of `random_steps`."""
        return [cast(SoLa, part) for part in self.parts]

    @property
    def trained(self) -> list[SoLa]:
        """The modules of `steps`."""
        return self.modules_of_steps[: len(self.steps)]

    @property
    def random(self) -> list[SoLa]:
        """The modules of `random_steps`."""
        return self.modules_of_steps[len(self.steps) :]

    def forward(self, features: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time transformed"]:
        """Transform whole videos of equal length."""
        return self.transform(features)

    def transform(
        self, features: Float[Tensor, "batch time channels"], piece: int | None = None
    ) -> Float[Tensor, "batch time transformed"]:
        """Return the same as `forward`, with convolutions over `piece` snippets at a time to use less memory."""
        joined = self.join(features, piece)
        return joined if self.mapped is None else joined @ self.mapping

    def join(
        self, features: Float[Tensor, "batch time channels"], piece: int | None = None
    ) -> Float[Tensor, "batch time joined"]:
        """Return the concatenated parts, before the map to `mapped` channels."""
        parts, means = self._parts(features, piece), torch.split(self.part_means, self.widths)
        standardized = [
            (part - mean) * weight for part, mean, weight in zip(parts, means, self.part_weights, strict=True)
        ]
        return torch.cat(standardized, dim=2)

    @torch.no_grad()
    def fit_input(self, moments: Moments) -> None:
        """Set the scene share, scale, reduction and whitening from the moments of the training videos."""
        self.center.copy_(torch.from_numpy(moments.mean))
        self.scene_share.fill_(moments.scene_share)
        covariance = moments.covariance
        variance = float(np.trace(covariance)) + (1 - moments.scene_share) ** 2 * moments.between
        scale = math.sqrt(variance / self.channels) or 1.0
        self.scale.fill_(scale)
        if self.reduced is not None:
            reduction = leading(covariance, self.reduced)
            self.reduction.copy_(torch.from_numpy(reduction))
            covariance = reduction.T @ covariance @ reduction
        self.white.copy_(torch.from_numpy(whitening(covariance / scale**2, SHRINKAGE)))

    @torch.no_grad()
    def fit_parts(self, videos: Iterable[Float[Tensor, "1 time channels"]], piece: int | None = None) -> None:
        """Set the mean and weight of each part from these videos; a constant part gets weight 1."""
        sums = [torch.zeros(2, width, dtype=torch.float64) for width in self.widths]
        count = 0
        for video in videos:
            for total, part in zip(sums, self._parts(video, piece), strict=True):
                values = part[0].double()
                total += torch.stack((values.sum(dim=0), values.square().sum(dim=0))).cpu()
            count += video.shape[1]
        means, squares = (torch.cat(sums, dim=1) / count).unbind()
        variance, size = (
            torch.stack([part.mean() for part in torch.split(whole, self.widths)])
            for whole in (squares - means.square(), squares)
        )
        deviation = torch.ones_like(variance)
        deviation[-1] = 1 - self.scene_share
        self.part_means.copy_(means)
        self.part_weights.copy_(torch.where(variance > CONSTANT * size, deviation / variance.sqrt(), 1.0))

    def condition(self, features: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Subtract the scene of each video and divide by the scale."""
        mean = features.mean(dim=1, keepdim=True)
        scene = self.center + self.scene_share * (mean - self.center)
        return (features - scene) / self.scale

    def reduce(self, conditioned: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time reduced"]:
        """Reduce conditioned features to the channels that the modules and whitening use."""
        return conditioned if self.reduced is None else conditioned @ self.reduction

    def _parts(self, features: Tensor, piece: int | None) -> list[Tensor]:
        conditioned = self.condition(features)
        inputs = self.reduce(conditioned)
        parts = [module.smooth(module.adapt_in_pieces(inputs, piece)) for module in self.modules_of_steps]
        averaged = moving_average(conditioned, self.average)
        wide = [moving_average(inputs, self.wide_average)] if self.wide_average else []
        return [*parts, averaged, *wide, self.reduce(averaged) @ self.white]

    def gate_value(self) -> float:
        """Return the mean gate of the trained modules."""
        gates = [module.gate_value() for module in self.trained]
        return sum(gates) / len(gates) if gates else 0.0

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments as JSON values."""
        names = ("channels", "hidden", "kernel_size", "reduced", "average", "wide_average", "mapped")
        steps = {"steps": list(self.steps), "random_steps": list(self.random_steps)}
        return {**{name: getattr(self, name) for name in names}, **steps}

    def extra_repr(self) -> str:
        """Return the constructor arguments for `print`."""
        return ", ".join(f"{name}={json.dumps(value)}" for name, value in self.config().items())


def _module(width: int, form: Form, step: int, hidden: int, kernel_size: int) -> SoLa:
    return SoLa(width, hidden=hidden, kernel_size=kernel_size, form=form, smoothing=2 * step + 1)


Network = SoLa | MultiScaleSoLa
"""A network that `sola train` trains."""


def network_of(config: dict[str, Any]) -> Network:
    """Return an untrained network from the result of `config()`.

    Raises:
        SolaError: if a value is out of range.
        TypeError: if the arguments do not fit the constructor.
    """
    return MultiScaleSoLa(**config) if "steps" in config else SoLa(**config)
