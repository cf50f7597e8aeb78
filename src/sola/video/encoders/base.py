"""What it takes to be a snippet encoder."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from sola.video.framing import Framing

DEFAULT_ENCODER = "efficientnet-lite0"
"""The encoder that works offline."""


@runtime_checkable
class Encoder(Protocol):
    """A frozen snippet encoder: a window of RGB frames in, one feature out. Deterministic, and blind to its batch."""

    @property
    def name(self) -> str:
        """What manifests call it."""
        ...

    @property
    def dim(self) -> int:
        """Channels of a feature."""
        ...

    @property
    def framing(self) -> Framing:
        """How it wants its frames."""
        ...

    @property
    def fps(self) -> float:
        """Frames a second that it is shown, unless the user says otherwise."""
        ...

    @property
    def window(self) -> int:
        """Frames that a snippet spans."""
        ...

    @property
    def stride(self) -> int:
        """Frames from one snippet to the next, unless the user says otherwise."""
        ...

    @property
    def license(self) -> str:
        """Under what its weights may be used: an SPDX id where there is one."""
        ...

    @property
    def identity(self) -> str:
        """A digest of weights and settings: encoders of one identity give the same features."""
        ...

    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return one feature for each window of frames, of the size that `framing` says."""
        ...
