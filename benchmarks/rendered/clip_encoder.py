"""The network trained on trimmed clips, as a frozen encoder of untrimmed videos."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from safetensors import SafetensorError
from safetensors.torch import load

from rendered.clip_network import CHANNELS, SIDE, WINDOW, ClipNetwork
from rendered.trimmed import KNOWN
from sola.core.errors import SolaError
from sola.video.framing import Framing

ON_CPU = 4
"""Batch size on a CPU. Larger batches do not fit the cache and take 50 % longer per window."""


class ClipEncoder:
    """Encoder with 256 channels per window of 8 frames (1 s), and four windows per second.

    The weights are written by `rendered.pretraining`. Raises SolaError if the file is missing or invalid.
    """

    name = "figure-clip-cnn"
    dim = CHANNELS
    framing = Framing(SIDE, SIDE, short_side=SIDE, interpolation="area")
    fps = 8.0
    window = WINDOW
    stride = 2
    license = "Apache-2.0"

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.device = device
        self.network = ClipNetwork(len(KNOWN))
        cure = f"write it with: python -m rendered.pretraining {weights}"
        try:
            content = weights.read_bytes()
            self.network.load_state_dict(load(content))
        except FileNotFoundError:
            raise SolaError(f"{weights}: no such file; {cure}") from None
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(":")
            raise SolaError(f"{weights}: cannot be read as weights of {self.name} ({reason}); {cure}") from None
        self.identity = hashlib.sha256(content).hexdigest()
        self.network.freeze()
        self.network.to(device)

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return the feature of each window of frames."""
        clips = torch.from_numpy(frames)
        pieces = torch.split(clips, ON_CPU) if self.device.type == "cpu" else [clips]
        return torch.cat([self.network.features(piece.to(self.device)) for piece in pieces]).cpu().numpy()
