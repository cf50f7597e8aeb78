"""A small network for windows of frames: alternating convolutions over space and time, then global average pooling.

The structure follows R(2+1)D (Tran et al., CVPR 2018). Convolutions over time run as 2-D convolutions over (time,
position) in channels-last format, which is fastest on a CPU.
"""

from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Frames = UInt8[Tensor, "batch time height width 3"] | Float[Tensor, "batch time height width 3"]
"""Windows of RGB frames, values from 0 to 255."""
WINDOW = 8
"""Number of frames in a window."""
SIDE = 64
"""Width and height of a frame (pixels)."""
CHANNELS = 256
"""Number of feature channels."""
PLANES = 6
"""Input channels: the RGB colors, and their differences from the mean over the window."""
WIDTHS = (16, 32, 64, 256)
"""Channels after each spatial convolution, which halves width and height."""
TIME_STRIDES = (None, 1, 2, 2)
"""Stride of the temporal convolution after each spatial convolution, or None for no temporal convolution."""


class Step(nn.Module):
    """A convolution, its batch normalization and ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False)
        self.normalization: nn.Module = nn.BatchNorm2d(channels_out)

    def forward(self, x: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch out rows2 columns2"]:
        """Pass through."""
        return torch.relu_(self.normalization(self.convolution(x)))

    def fold(self) -> None:
        """Fold the batch normalization, in evaluation mode, into the convolution."""
        if isinstance(self.normalization, nn.BatchNorm2d):
            self.convolution = fuse_conv_bn_eval(self.convolution, self.normalization)
            self.normalization = nn.Identity()


class Space(Step):
    """A 3×3 spatial convolution with stride 2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, (3, 3), (2, 2))

    def forward(self, x: Float[Tensor, "batch channels time height width"]) -> Float[Tensor, "batch out time h w"]:
        """Pass through."""
        batch, time = x.shape[0], x.shape[2]
        return super().forward(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, time)).transpose(1, 2)


class Time(Step):
    """A temporal convolution with kernel size 3."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(channels_in, channels_out, (3, 1), (stride, 1))

    def forward(
        self, x: Float[Tensor, "batch channels time height width"]
    ) -> Float[Tensor, "batch out t height width"]:
        """Pass through."""
        return super().forward(x.flatten(3)).unflatten(3, x.shape[3:])


class ClipNetwork(nn.Module):
    """Classifier of windows of 8 frames of 64×64 pixels, with features of 256 channels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        steps: list[Step] = []
        for (inside, outside), stride in zip(pairwise((PLANES, *WIDTHS)), TIME_STRIDES, strict=True):
            steps.append(Space(inside, outside))
            if stride is not None:
                steps.append(Time(outside, outside, stride))
        self.steps = nn.Sequential(*steps)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(CHANNELS, classes)
        self.to(memory_format=torch.channels_last)

    def features(self, frames: Frames) -> Float[Tensor, "batch 256"]:
        """Return the last activations of each window, averaged over time and space."""
        pictures = (frames.float() - 127.5) / 127.5
        # differences from the window's mean show motion to the first convolution, which processes single frames
        moving = 4 * (pictures - pictures.mean(dim=1, keepdim=True))
        return self.steps(torch.cat([pictures, moving], dim=-1).movedim(-1, 1)).float().mean(dim=(2, 3, 4))

    def forward(self, frames: Frames) -> Float[Tensor, "batch classes"]:
        """Return the class scores."""
        return self.classifier(self.dropout(self.features(frames)))

    def freeze(self) -> None:
        """Prepare for inference: fold batch normalization into the convolutions and disable gradients."""
        self.eval().requires_grad_(False)
        for step in self.steps:
            step.fold()
        self.to(memory_format=torch.channels_last)
