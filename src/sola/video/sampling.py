"""Resample frames at a constant rate."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

from sola.video.decoding import TimedFrame
from sola.video.framing import Framing


def sampled(
    shown: Iterable[TimedFrame], fps: float, framing: Framing
) -> Iterator[UInt8[np.ndarray, "{framing.height} {framing.width} 3"]]:
    """Yield `fps` frames per second: sample k is the frame shown at (k + ½) / fps seconds.

    Samples before the first frame repeat the first frame. A frame that is sampled several times is yielded as the same
    array. Every video yields at least one frame.
    """
    number = 0
    for last in shown:
        array = None
        while (number + 0.5) / fps < last.end:
            if array is None:
                array = framing(last.frame)
            yield array
            number += 1
    if number == 0:
        yield framing(last.frame)
