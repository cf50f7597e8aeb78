"""Video clips with two actions each, for tutorials that start from video files."""

from pathlib import Path

import av
import numpy as np

SECONDS = 16
RATE = 8
"""Frames per second."""
SEGMENTS = {"stripes": (3.0, 7.0), "disc": (10.0, 13.5)}


def render(path: Path, seed: int) -> None:
    """Write a clip with a noisy background, moving stripes and later a disc at random positions."""
    draw = np.random.default_rng(seed)
    scene = draw.integers(40, 120, (64, 96, 3), dtype=np.uint8)
    y, x = np.mgrid[:64, :96]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(SECONDS * RATE):
            picture, time = scene.copy(), number / RATE
            if SEGMENTS["stripes"][0] <= time < SEGMENTS["stripes"][1]:
                picture[(x + 3 * number) % 16 < 8] = 230
            if SEGMENTS["disc"][0] <= time < SEGMENTS["disc"][1]:
                row, column = draw.integers(16, 48), draw.integers(16, 80)
                picture[(y - row) ** 2 + (x - column) ** 2 < 200] = (220, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
