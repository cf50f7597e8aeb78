"""Shared parts of encoders that read their authors' checkpoints, with the sampling of published THUMOS14 features."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sola.core.errors import SolaError
from sola.core.published import published_weights
from sola.video.encoders.huggingface_folders import ModelFolder
from sola.video.encoders.transformers_models import digest
from sola.video.framing import Framing

SIDE = 224
"""Side length of frames (pixels)."""
UNNAMED = ("pytorch_model.bin", "model.safetensors")
"""File names that say nothing about the model; its name is that of the folder."""
CLASSIFIER = {"head.weight", "head.bias"}
"""Weights that do not contribute to features."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a model under the authors' names."""

    place: Path
    """File or folder, for error messages."""
    name: str
    """Name of the model in manifests."""
    license: str
    """License of the weights, or "unknown"."""
    weights: Mapping[str, Tensor]

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a safetensors file or a PyTorch checkpoint. Only tensors and plain containers are unpickled.

        Raises SolaError if the file cannot be read or holds more than weights.
        """
        weights = _safetensors(path) if path.suffix == ".safetensors" else published_weights(path, ("model", "module"))
        name = path.resolve().parent.name if path.name in UNNAMED else path.stem
        return cls(path, name, "unknown", weights)

    @classmethod
    def of_folder(cls, model: ModelFolder) -> "Checkpoint":
        """Read the safetensors of a hub model. Raises SolaError if a file cannot be read."""
        weights: dict[str, Tensor] = {}
        for path in sorted(model.path.glob("model*.safetensors")):
            weights |= _safetensors(path)
        weights = {name.removeprefix("model."): weight for name, weight in weights.items()}
        return cls(model.path, model.name, model.license, weights)


def block_count(weights: Mapping[str, Tensor]) -> int:
    """Return the number of transformer blocks in the weights, at least 1."""
    return max(1, len({name.split(".")[1] for name in weights if name.startswith("blocks.")}))


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SolaError(f"{path}: cannot be read ({error}); expected weights, fetch them again") from None


class PublishedEncoder:
    """A frozen video encoder from a published checkpoint, as an `Encoder`.

    The defaults are those of published THUMOS14 features, for videos at 30 frames per second: a window of 16
    consecutive frames starts every 4 frames, from frame 0 on. Whole frames are resized to 224×224.

    Args:
        checkpoint: weights, name and license.
        tower: network from pixels [batch, frames, 3, 224, 224] to features [batch, channels].
        dim: number of channels of a feature.
        device: device of the model.
        settings: other settings that change the features, for the identity of the encoder.
        step: stride of the network in a window (frames).
    """

    fps = 30.0
    window = 16
    stride = 4
    offset = 0
    framing = Framing(SIDE, SIDE, interpolation="bilinear")
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Mean of red, green and blue, on a scale from 0 to 1."""
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Standard deviation of red, green and blue, on the same scale."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tower: nn.Module,
        dim: int,
        device: torch.device,
        settings: Mapping[str, Any],
        *,
        step: int = 1,
    ) -> None:
        self.name, self.license = checkpoint.name, checkpoint.license
        self.dim, self._step = dim, step
        self.identity = digest(tower, settings)
        self.device = device
        self._tower = tower.to(device)
        self._mean = torch.tensor(self.mean, device=device).view(3, 1, 1)
        self._deviation = torch.tensor(self.deviation, device=device).view(3, 1, 1)

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[np.ndarray, "batch {self.window} {self.framing.height} {self.framing.width} 3"]
    ) -> Float32[np.ndarray, "batch {self.dim}"]:
        """Return one feature per window of frames."""
        pixels = torch.from_numpy(frames[:, :: self._step]).to(self.device).permute(0, 1, 4, 2, 3).float() / 255
        features: np.ndarray = self._tower((pixels - self._mean) / self._deviation).cpu().numpy()
        return features
