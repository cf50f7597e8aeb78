"""The SoLa network: a small convolutional branch on frozen features (supplement, sections A.2 and D)."""

import json
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least, odd, one_of
from sola.softlanding.kinds import Conditioning, Form, Gate


class SoLa(nn.Module):
    """Map features [batch, time, C] to the same shape: `smooth(x + gate(α)·f(x))`, where x is the conditioned input.

    f is Conv1d(C→H, k) · ReLU · Conv1d(H→H, 1) · ReLU · Conv1d(H→C, 1), with stride 1. In the *adapter* form, α starts
    at 0, so an untrained module returns the conditioned input. The *direct* form is f(x) alone (Table 1). The
    supplement scales f by α ("linear"). The default, tanh(α), is bounded.

    Args:
        channels: number of feature channels C.
        hidden: number of hidden channels H (Table 4a).
        kernel_size: kernel size k of the first convolution (snippets, odd).
        form: "adapter" or "direct".
        gate: "tanh" or "linear".
        conditioning: preprocessing of a video: "center" subtracts its mean over time, "scale" divides by one number
            for the whole data set (the buffer `scale`, set in training), and "center+scale" does both.
        smoothing: length of the moving average over the output (snippets, odd); 1 disables it. At the ends of a video,
            it averages the snippets that exist.

    Raises:
        SolaError: if a value is out of range.

    Examples:
        >>> import sola, torch
        >>> module = sola.SoLa(channels=16, hidden=8)
        >>> features = torch.ones(1, 40, 16)
        >>> tuple(module(features).shape)
        (1, 40, 16)
        >>> torch.equal(module(features), features)  # the gate is closed before training
        True
    """

    scale: Tensor

    def __init__(
        self,
        channels: int,
        *,
        hidden: int = 1024,
        kernel_size: int = 5,
        form: Form = "adapter",
        gate: Gate = "tanh",
        conditioning: Conditioning = "none",
        smoothing: int = 1,
    ) -> None:
        super().__init__()
        at_least(1, channels=channels, hidden=hidden)
        odd(kernel_size=kernel_size, smoothing=smoothing)
        one_of(Form, form=form)
        one_of(Gate, gate=gate)
        one_of(Conditioning, conditioning=conditioning)
        self.channels, self.hidden, self.kernel_size = channels, hidden, kernel_size
        self.form, self.gate, self.conditioning, self.smoothing = form, gate, conditioning, smoothing
        self.conv1 = nn.Conv1d(channels, hidden, kernel_size, padding=kernel_size // 2)
        self.conv2 = nn.Conv1d(hidden, hidden, 1)
        self.conv3 = nn.Conv1d(hidden, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(())) if form == "adapter" else None
        self.register_buffer("scale", torch.ones(()))

    @property
    def output_channels(self) -> int:
        """Number of output channels, equal to the number of input channels."""
        return self.channels

    @property
    def reach(self) -> int:
        """Snippets on each side of an output snippet that f depends on."""
        return self.kernel_size // 2

    @property
    def centers(self) -> bool:
        """Whether the mean of each video is subtracted from the input."""
        return self.conditioning.startswith("center")

    def gate_value(self) -> float:
        """Return the factor of f: tanh(α) or α, or 1 for the direct form."""
        return 1.0 if self.alpha is None else float(self._gate(self.alpha.detach()))

    def forward(self, features: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Transform whole videos of equal length."""
        return self.transform(features)

    def condition(
        self, features: Float[Tensor, "*batch channels"], mean: Float[Tensor, "*#batch channels"]
    ) -> Float[Tensor, "*batch channels"]:
        """Subtract the mean of the video and divide by the scale of the data set, according to `conditioning`."""
        if self.centers:
            features = features - mean
        if self.conditioning.endswith("scale"):
            features = features / self.scale
        return features

    def transform(
        self, features: Float[Tensor, "batch time channels"], piece: int | None = None
    ) -> Float[Tensor, "batch time channels"]:
        """Return the same as `forward`, with convolutions over `piece` snippets at a time to use less memory."""
        x = self.condition(features, features.mean(dim=1, keepdim=True))
        return self.smooth(self.adapt_in_pieces(x, piece))

    def adapt_in_pieces(
        self, x: Float[Tensor, "batch time channels"], piece: int | None
    ) -> Float[Tensor, "batch time channels"]:
        """Return the same as `adapt`, computed on `piece` snippets at a time; the inputs overlap by `reach`."""
        length, pieces = x.shape[1], []
        if piece is None or piece >= length:
            return self.adapt(x)
        for start in range(0, length, piece):
            stop = min(start + piece, length)
            before, after = min(start, self.reach), min(length - stop, self.reach)
            pieces.append(self.adapt(x[:, start - before : stop + after])[:, before : before + stop - start])
        return torch.cat(pieces, dim=1)

    def adapt(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Return x + gate(α)·f(x) for conditioned features; f uses zero padding."""
        hidden = self.conv1(x.transpose(1, 2)).relu()
        hidden = self.conv2(hidden).relu()
        return self._combine(x, self.conv3(hidden).transpose(1, 2))

    def adapt_at(self, neighborhood: Float[Tensor, "*batch reach channels"]) -> Float[Tensor, "*batch channels"]:
        """Return `adapt` at the center of each neighborhood of `kernel_size` conditioned snippets.

        Only the first convolution has a kernel larger than 1, so three linear layers on the neighborhoods give the same
        result as the dense convolutions.
        """
        # [H, C, k] → [H, k·C]: the memory order of a neighborhood [k, C]
        weight = self.conv1.weight.transpose(1, 2).flatten(1)
        hidden = F.linear(neighborhood.flatten(-2), weight, self.conv1.bias).relu()
        hidden = F.linear(hidden, self.conv2.weight[:, :, 0], self.conv2.bias).relu()
        response = F.linear(hidden, self.conv3.weight[:, :, 0], self.conv3.bias)
        return self._combine(neighborhood[..., self.reach, :], response)

    def smooth(self, y: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Apply a moving average over `smoothing` snippets."""
        return moving_average(y, self.smoothing)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments as JSON values."""
        names = ("channels", "hidden", "kernel_size", "form", "gate", "conditioning", "smoothing")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        """Return the constructor arguments for `print`."""
        return ", ".join(f"{name}={json.dumps(value)}" for name, value in self.config().items())

    def _gate(self, alpha: Tensor) -> Tensor:
        return alpha.tanh() if self.gate == "tanh" else alpha

    def _combine(self, x: Tensor, response: Tensor) -> Tensor:
        if self.alpha is None:
            return response.to(x.dtype)
        return x + self._gate(self.alpha) * response.to(x.dtype)


def moving_average(y: Float[Tensor, "batch time channels"], width: int) -> Float[Tensor, "batch time channels"]:
    """Return the moving average over `width` snippets (odd); at the ends, it averages the snippets that exist."""
    if width == 1:
        return y
    pooled = F.avg_pool1d(y.transpose(1, 2), width, stride=1, padding=width // 2, count_include_pad=False)
    return pooled.transpose(1, 2)
