"""Features of a frozen encoder, computed from rendered frames without intermediate video files."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from rendered.video import Video
from rendered.world import VideoSpec
from sola.core.files import replacing
from sola.data.manifest import Manifest
from sola.video.encoders.base import Encoder
from sola.video.snippets import encoded, offset_of, windows

FRAMES_AT_ONCE = 32


def features_of(video: Video, encoder: Encoder) -> Float[np.ndarray, "time channels"]:
    """Return the features of one video, equal to those of `sola extract` on a lossless video file."""
    frames = int(np.ceil(video.duration * encoder.fps - 0.5)) or 1
    seconds = (np.arange(frames) + 0.5) / encoder.fps
    pictures = video.frames(seconds, (encoder.framing.height, encoder.framing.width))
    snippets = windows(pictures, encoder.window, encoder.stride)
    return np.concatenate(list(encoded(snippets, encoder, max(1, FRAMES_AT_ONCE // encoder.window))))


def manifest_of(encoder: Encoder) -> Manifest:
    """Return the manifest with the snippet times of an encoder."""
    return Manifest(
        dim=encoder.dim,
        fps=encoder.fps,
        stride=float(encoder.stride),
        window=float(encoder.window),
        offset=float(offset_of(encoder.window, encoder.stride)),
        encoder=encoder.name,
    )


def write_features(specs: list[VideoSpec], encoder: Encoder, folder: Path) -> None:
    """Write missing features as float16. An interrupted call can be repeated."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest_of(encoder).write(folder)
    for spec in specs:
        path = folder / f"{spec.name}.npy"
        if not path.is_file():
            with replacing(path) as aside, aside.open("wb") as file:
                np.save(file, features_of(spec.open(), encoder).astype(np.float16))
