"""Sampling of frames at a constant rate."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

from sola.video.decoding import Shown
from sola.video.framing import Framing


def sampled(
    shown: Iterable[Shown], fps: float, framing: Framing
) -> Iterator[UInt8[np.ndarray, "{framing.height} {framing.width} 3"]]:
    """Yield `fps` frames per second: frame k is the one shown at (k + ½) / fps seconds.

    Before the first frame is shown, it is that one. A frame that is shown for longer is repeated as the same array. A
    video yields at least one frame.
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
