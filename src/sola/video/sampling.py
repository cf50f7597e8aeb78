"""Frames that are on show for any length of time → frames at a steady rate."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

from sola.video.decoding import Shown
from sola.video.framing import Framing


def sampled(
    shown: Iterable[Shown], fps: float, framing: Framing
) -> Iterator[UInt8[np.ndarray, "{framing.height} {framing.width} 3"]]:
    """Yield `fps` frames a second: frame k is the one on show at (k + ½) / fps seconds, the middle of its own stretch.

    At the video's own rate that is every frame once. A frame that is on show for longer comes again as the same array,
    so that whoever encodes it can know. A video yields one frame at least.
    """
    number = 0
    for one in shown:
        array = None
        while (number + 0.5) / fps < one.end:
            if array is None:
                array = framing(one.frame)
            yield array
            number += 1
        last = one
    if number == 0:
        yield framing(last.frame)
