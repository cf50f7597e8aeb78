"""The protocol of snippet encoders."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from sola.video.framing import Framing

DEFAULT_ENCODER = "efficientnet-lite0"
"""The encoder that works offline."""


@runtime_checkable
class Encoder(Protocol):
    """A frozen snippet encoder: deterministic, from a window of RGB frames to a feature independent of the batch.

    An encoder may also have an `offset`, the first frame of the first window. Without it, windows are centered on their
    strides.
    """

    @property
    def name(self) -> str:
        """Name in manifests."""

    @property
    def dim(self) -> int:
        """Channels of a feature."""

    @property
    def framing(self) -> Framing:
        """Scaling and cropping of frames."""

    @property
    def fps(self) -> float:
        """Default frame rate (frames per second)."""

    @property
    def window(self) -> int:
        """Length of a snippet (frames)."""

    @property
    def stride(self) -> int:
        """Default distance between the starts of two snippets (frames)."""

    @property
    def license(self) -> str:
        """License of the weights, an SPDX id if there is one."""

    @property
    def identity(self) -> str:
        """Digest of weights and settings; encoders with the same identity give the same features."""

    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return one feature for each window of frames, whose size is that of `framing`."""
