"""Video encoders read from their authors' checkpoints, sampled as the published features of THUMOS14 were."""

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
"""Side of frames (pixels)."""
UNNAMED = ("pytorch_model.bin", "model.safetensors")
"""Files whose folders have the name of the model."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a model under the authors' names."""

    place: Path
    """File or folder, for error messages."""
    name: str
    """Name of the model in manifests."""
    license: str
    """License of the weights, or "unknown"."""
    weights: Mapping[str, Tensor]

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read safetensors or a PyTorch checkpoint, of which only tensors and plain containers are unpickled.

        Raises SolaError if the file cannot be read or holds more than weights.
        """
        weights = _safetensors(path) if path.suffix == ".safetensors" else published_weights(path, ("model", "module"))
        name = path.resolve().parent.name if path.name in UNNAMED else path.stem
        return cls(path, name, "unknown", weights)

    @classmethod
    def of_folder(cls, model: ModelFolder) -> "Checkpoint":
        """Read the safetensors of a model of the hub. Raises SolaError if a file cannot be read."""
        weights: dict[str, Tensor] = {}
        for path in sorted(model.path.glob("model*.safetensors")):
            weights |= _safetensors(path)
        weights = {name.removeprefix("model."): weight for name, weight in weights.items()}
        return cls(model.path, model.name, model.license, weights)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SolaError(f"{path}: cannot be read ({error}); expected weights, fetch them again") from None


class PublishedEncoder:
    """A frozen video encoder of a published checkpoint, as an `Encoder`.

    The defaults are those of features of THUMOS14, whose videos have 30 frames per second: a window of 16 consecutive
    frames begins every 4 frames, the first one at frame 0. Whole frames are resized to 224×224.

    Args:
        checkpoint: source of the weights.
        tower: network from pixels [batch, window, 3, 224, 224] to features [batch, channels].
        dim: channels of a feature.
        device: device of the model.
        settings: what else changes features.
        step: the network sees the first of every `step` frames of a window.
    """

    fps = 30.0
    window = 16
    stride = 4
    offset = 0
    framing = Framing(SIDE, SIDE, interpolation="bilinear")
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Mean of red, green and blue, from 0 to 1."""
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Standard deviation of red, green and blue."""

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
        """Return one feature for each window of frames."""
        pixels = torch.from_numpy(frames[:, :: self._step]).to(self.device).permute(0, 1, 4, 2, 3).float() / 255
        features: np.ndarray = self._tower((pixels - self._mean) / self._deviation).cpu().numpy()
        return features
