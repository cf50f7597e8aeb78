"""An encoder that is a frozen network, and the digest of what its features depend on."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from sola.video.encoders.huggingface_preprocessing import Preprocessing
from sola.video.framing import Framing

IRRELEVANT = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
"""Keys of config.json that do not change features."""


class TowerEncoder:
    """A frozen network that gives one feature for each window of frames, as an `Encoder`.

    `record` is what features depend on besides weights, preprocessing and window, as JSON.
    """

    def __init__(
        self,
        tower: Any,
        *,
        name: str,
        fps: float,
        window: int,
        stride: int,
        preprocessing: Preprocessing,
        license: str,
        record: Mapping[str, Any],
        device: torch.device,
    ) -> None:
        self.name, self.fps, self.window, self.stride, self.license = name, fps, window, stride, license
        self.preprocessing = preprocessing
        self.dim = int(tower.dim)
        self.identity = _identity(tower, record, preprocessing, window)
        self.device = device
        self._tower = tower.to(device)
        self._mean = torch.tensor(preprocessing.mean, device=device).view(3, 1, 1)
        self._deviation = torch.tensor(preprocessing.deviation, device=device).view(3, 1, 1)

    @property
    def framing(self) -> Framing:
        """Size and interpolation of frames."""
        return self.preprocessing.framing

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[np.ndarray, "batch {self.window} {self.framing.height} {self.framing.width} 3"]
    ) -> Float32[np.ndarray, "batch {self.dim}"]:
        """Return one feature for each window of frames."""
        pixels = torch.tensor(frames).to(self.device).permute(0, 1, 4, 2, 3).float()
        pixels = (pixels * self.preprocessing.scale - self._mean) / self._deviation
        features: np.ndarray = self._tower(pixels).float().cpu().numpy()
        return features


def _identity(tower: nn.Module, record: Mapping[str, Any], preprocessing: Preprocessing, window: int) -> str:
    """Return the SHA-256 of everything that features depend on."""
    config = {key: value for key, value in record.items() if key not in IRRELEVANT}
    settings = {"config": config, "preprocessing": repr(preprocessing), "window": window}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, weight in sorted(tower.state_dict().items()):
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().numpy())
    return digest.hexdigest()
