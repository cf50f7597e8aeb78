"""Feature extraction for one video."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from jaxtyping import Float32, UInt8

from sola.core.checks import at_least, positive
from sola.core.errors import SolaError
from sola.data.formats.npy import NpyWriter
from sola.data.journal import Report
from sola.data.manifest import Manifest
from sola.video.decoding import TimedFrame, shown_frames, stated_duration
from sola.video.encoders.base import Encoder
from sola.video.framing import Framing
from sola.video.prefetch import prefetched
from sola.video.sampling import sampled
from sola.video.snippets import encoded, offset_of, windows

FRAMES_AT_ONCE = 64
"""Default number of frames per batch."""

TIME_ZERO = "container"
"""Time origin of the features in the manifest: the start of the file, not the first frame."""

DType = Literal["float16", "float32"]


class SamplingOptions(TypedDict, total=False):
    """Extraction options. By default, each value is that of the encoder."""

    fps: float | None
    """Frame rate to which videos are resampled (frames per second)."""
    stride: int | None
    """Distance between the starts of consecutive snippets (frames)."""
    framing: Framing | None
    """Scaling and cropping of frames."""
    dtype: DType
    """Dtype of the stored features, float16 by default."""
    batch: int | None
    """Number of windows per batch, by default as many as fit in 64 frames."""


@dataclass(frozen=True)
class Sampling:
    """`SamplingOptions` with the defaults of an encoder filled in."""

    fps: float
    """Frame rate to which videos are resampled (frames per second)."""
    stride: int
    """Distance between the starts of consecutive snippets (frames)."""
    offset: int
    """First frame of the first window."""
    framing: Framing
    """Scaling and cropping of frames."""
    dtype: DType
    """Dtype of the stored features."""
    batch: int
    """Number of windows per batch."""

    @classmethod
    def resolve(cls, encoder: Encoder, options: SamplingOptions) -> "Sampling":
        """Return the settings for an encoder. Raises SolaError if a number is out of range."""
        given = {name: value for name, value in options.items() if value is not None}
        batch = max(1, FRAMES_AT_ONCE // encoder.window)
        defaults = {"fps": encoder.fps, "stride": encoder.stride, "framing": encoder.framing, "dtype": "float16"}
        chosen: dict[str, Any] = {**defaults, "batch": batch, **given}
        positive(fps=chosen["fps"])
        at_least(1, stride=chosen["stride"], batch=chosen["batch"])
        encoder_offset = getattr(encoder, "offset", None)
        return cls(
            **chosen, offset=offset_of(encoder.window, chosen["stride"]) if encoder_offset is None else encoder_offset
        )

    def manifest(self, encoder: Encoder, source: str) -> Manifest:
        """Return the manifest of the features, which records how to extract them again."""
        return Manifest(
            dim=encoder.dim,
            fps=float(self.fps),
            stride=float(self.stride),
            window=float(encoder.window),
            offset=float(self.offset),
            encoder=encoder.name,
            extraction={
                "encoder": source,
                "identity": encoder.identity,
                "license": encoder.license,
                "framing": dataclasses.asdict(self.framing),
                "dtype": self.dtype,
                "time_zero": TIME_ZERO,
                "made_with": {package: version(package) for package in ("sola-tal", "av", "torch")},
            },
        )


class SharedEncoder:
    """Encoder that threads call one at a time, because a single call uses all cores or the GPU."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._turn = threading.Lock()

    def __call__(
        self, frames: UInt8[np.ndarray, "batch window height width 3"]
    ) -> Float32[np.ndarray, "batch channels"]:
        """Return the features [batch, channels]. Raises SolaError if the encoder returns another shape."""
        with self._turn:
            features = self.encoder(frames)
        expected = (len(frames), self.encoder.dim)
        if features.shape != expected:
            raise SolaError(
                f"encoder {self.encoder.name}: returned features of shape {features.shape}; expected {expected}"
            )
        return features


def extract_video(path: Path, out: Path, encoder: SharedEncoder, sampling: Sampling, report: Report) -> dict[str, Any]:
    """Write the features of a video to a .npy file, with constant memory. Decoding and encoding overlap.

    Returns the number of decoded "frames" and written "snippets", and the start ("begins") and end ("seconds") of the
    video stream, in seconds after the start of the file.

    Raises BadVideo if the file cannot be decoded. Raises SolaError if the encoder returns another shape or a feature
    does not fit the dtype.
    """
    counts: dict[str, Any] = {"frames": 0, "begins": 0.0, "seconds": 0.0, "snippets": 0}
    duration = stated_duration(path)

    def frames() -> Iterator[TimedFrame]:
        for frame in shown_frames(path):
            if not counts["frames"]:
                counts["begins"] = frame.start
            counts["frames"], counts["seconds"] = counts["frames"] + 1, frame.end
            report(frame.end / duration if duration else 0.0, 0)
            yield frame

    sequence = windows(
        sampled(frames(), sampling.fps, sampling.framing),
        encoder.encoder.window,
        sampling.stride,
        offset=sampling.offset,
    )
    ahead = prefetched(sequence, 2 * sampling.batch)
    with closing(ahead) as snippets, NpyWriter(out, encoder.encoder.dim, np.dtype(sampling.dtype)) as array:
        for features in encoded(snippets, encoder, sampling.batch):
            array.append(features)
            report(None, len(features))
    return counts | {"snippets": array.rows}
