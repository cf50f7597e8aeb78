"""A small network for windows of frames: convolutions over space, then over time, then their mean.

Space and time in turn after R(2+1)D (Tran et al., CVPR 2018); a convolution over time is one over a plane of times and
places, so that everything runs as 2-D convolutions with the channels last in memory, the fastest there is on a CPU.
"""

from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Frames = UInt8[Tensor, "batch time height width 3"] | Float[Tensor, "batch time height width 3"]
"""Windows of frames: red, green and blue from 0 to 255."""
WINDOW = 8
"""Frames that a window spans."""
SIDE = 64
"""Pixels of a frame."""
CHANNELS = 256
"""Channels of a feature."""
PLANES = 6
"""What the first convolution sees of a frame: its colors, and how far each is from its mean over the window."""
WIDTHS = (16, 32, 64, 256)
"""Channels after each convolution over space, which halves the sides."""
TIME_STRIDES = (None, 1, 2, 2)
"""Frames from one to the next of the convolution over time that follows; None where there is none."""


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
        """Put the batch normalization, as it is when not training, into the convolution."""
        if isinstance(self.normalization, nn.BatchNorm2d):
            self.convolution = fuse_conv_bn_eval(self.convolution, self.normalization)
            self.normalization = nn.Identity()


class Space(Step):
    """A convolution of 3×3 places within each frame that halves the sides."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, (3, 3), (2, 2))

    def forward(self, x: Float[Tensor, "batch channels time height width"]) -> Float[Tensor, "batch out time h w"]:
        """Pass through."""
        batch, time = x.shape[0], x.shape[2]
        return super().forward(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, time)).transpose(1, 2)


class Time(Step):
    """A convolution of 3 moments at each place."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(channels_in, channels_out, (3, 1), (stride, 1))

    def forward(
        self, x: Float[Tensor, "batch channels time height width"]
    ) -> Float[Tensor, "batch out t height width"]:
        """Pass through."""
        return super().forward(x.flatten(3)).unflatten(3, x.shape[3:])


class ClipNetwork(nn.Module):
    """Windows of 8 frames of 64×64 pixels → one score for each class, from a feature of 256 channels."""

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
        """The last activation of each window, its mean over moments and places."""
        pictures = (frames.float() - 127.5) / 127.5
        # what moves stands out from the mean of the window, also to the first convolution, which sees single frames
        moving = 4 * (pictures - pictures.mean(dim=1, keepdim=True))
        return self.steps(torch.cat([pictures, moving], dim=-1).movedim(-1, 1)).float().mean(dim=(2, 3, 4))

    def forward(self, frames: Frames) -> Float[Tensor, "batch classes"]:
        """Score the classes."""
        return self.classifier(self.dropout(self.features(frames)))

    def freeze(self) -> None:
        """Make it ready to be used, and no longer trained: batch normalization becomes part of the convolutions."""
        self.eval().requires_grad_(False)
        for step in self.steps:
            step.fold()
        self.to(memory_format=torch.channels_last)
