"""Protocol of snippet encoders."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from sola.video.framing import Framing

DEFAULT_ENCODER = "efficientnet-lite0"
"""Name of the default encoder, which works offline."""


@runtime_checkable
class Encoder(Protocol):
    """A frozen, deterministic snippet encoder that maps windows of RGB frames to features.

    The feature of a window must not depend on the other windows in the batch. An encoder may also have an attribute
    `offset`, the first frame of the first window. Without it, windows are centered on their strides.
    """

    @property
    def name(self) -> str:
        """Name in manifests."""

    @property
    def dim(self) -> int:
        """Number of feature channels."""

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
        """Default distance between the starts of consecutive snippets (frames)."""

    @property
    def license(self) -> str:
        """License of the weights, as an SPDX identifier if possible."""

    @property
    def identity(self) -> str:
        """Digest of weights and settings. Encoders with the same identity compute the same features."""

    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return one feature per window of frames, which have the size of `framing`."""
