"""One video file × encoder → one file of features."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from sola.core.checks import at_least, positive
from sola.core.errors import SolaError
from sola.data.formats.npy import NpyWriter
from sola.data.journal import Report
from sola.data.manifest import Manifest
from sola.video.decoding import Shown, read_header, shown_frames
from sola.video.encoders.base import Encoder
from sola.video.framing import Framing
from sola.video.prefetch import prefetched
from sola.video.sampling import sampled
from sola.video.snippets import encoded, offset_of, windows

FRAMES_AT_ONCE = 64
"""Default number of frames that go through the encoder together."""

DType = Literal["float16", "float32"]


@dataclass(frozen=True)
class Sampling:
    """Which frames the encoder is shown, and how features are stored."""

    fps: float
    """Frames per second that the encoder is shown."""
    stride: int
    """Frames from one snippet to the next."""
    framing: Framing
    """How frames are scaled and cut."""
    dtype: DType
    """Of the stored features."""
    batch: int
    """Windows encoded at once."""

    @classmethod
    def resolve(
        cls,
        encoder: Encoder,
        *,
        fps: float | None = None,
        stride: int | None = None,
        framing: Framing | None = None,
        dtype: DType = "float16",
        batch: int | None = None,
    ) -> "Sampling":
        """Return the settings, with the encoder's own where None. Raises SolaError if a number is out of range."""
        fps, stride = encoder.fps if fps is None else fps, encoder.stride if stride is None else stride
        batch = max(1, FRAMES_AT_ONCE // encoder.window) if batch is None else batch
        positive(fps=fps)
        at_least(1, stride=stride, batch=batch)
        return cls(fps, stride, framing or encoder.framing, dtype, batch)

    def manifest(self, encoder: Encoder, source: str) -> Manifest:
        """Return the manifest of the features: all that is needed to extract them again."""
        return Manifest(
            dim=encoder.dim,
            fps=float(self.fps),
            stride=float(self.stride),
            window=float(encoder.window),
            offset=float(offset_of(encoder.window, self.stride)),
            encoder=encoder.name,
            extraction={
                "encoder": source,
                "identity": encoder.identity,
                "license": encoder.license,
                "framing": dataclasses.asdict(self.framing),
                "dtype": self.dtype,
                "made_with": {package: version(package) for package in ("sola-tal", "av", "torch")},
            },
        )


class SharedEncoder:
    """An encoder that threads call in turn, since one call uses all cores or the GPU; the output shape is checked."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._turn = threading.Lock()

    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return a feature for each window. Raises SolaError if the encoder returns another shape."""
        with self._turn:
            features = self.encoder(frames)
        expected = (len(frames), self.encoder.dim)
        if features.shape != expected:
            raise SolaError(
                f"encoder {self.encoder.name}: gave features of shape {features.shape}; expected {expected}"
            )
        return features


def extract_video(path: Path, out: Path, encoder: SharedEncoder, sampling: Sampling, report: Report) -> dict[str, Any]:
    """Write the features of a video to a .npy file, in constant memory; decoding and encoding overlap.

    Returns:
        "frames" (decoded), "seconds" (length of the video) and "snippets" (written).

    Raises:
        BadVideo: if the file cannot be decoded.
        SolaError: if the encoder returns another shape, or a feature does not fit the dtype.
    """
    watched = _Watched(shown_frames(path), read_header(path).duration, report)
    frames = sampled(watched, sampling.fps, sampling.framing)
    window = encoder.encoder.window
    ahead = prefetched(windows(frames, window, sampling.stride), 2 * sampling.batch)
    with closing(ahead) as snippets, NpyWriter(out, encoder.encoder.dim, np.dtype(sampling.dtype)) as array:
        for features in encoded(snippets, encoder, sampling.batch):
            array.append(features)
            report(None, len(features))
    return {"frames": watched.count, "seconds": watched.seconds, "snippets": array.rows}


class _Watched:
    """Counts decoded frames and reports how much of the video they are."""

    def __init__(self, shown: Iterator[Shown], duration: float | None, report: Report) -> None:
        self.count = 0
        self.seconds = 0.0
        self._shown, self._duration, self._report = shown, duration, report

    def __iter__(self) -> Iterator[Shown]:
        for frame in self._shown:
            self.count, self.seconds = self.count + 1, frame.end
            self._report(frame.end / self._duration if self._duration else 0.0, 0)
            yield frame
