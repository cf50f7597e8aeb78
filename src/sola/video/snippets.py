"""Windows of frames, and their features."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

import numpy as np
from jaxtyping import Float32, UInt8

Frame = UInt8[np.ndarray, "height width 3"]
Encode = Callable[[UInt8[np.ndarray, "batch window height width 3"]], Float32[np.ndarray, "batch channels"]]


def offset_of(window: int, stride: int) -> int:
    """Return the first frame of the first window: each window is centered on its `stride` frames."""
    return -((window - stride) // 2)


def windows(frames: Iterable[Frame], window: int, stride: int, *, offset: int | None = None) -> Iterator[list[Frame]]:
    """Yield a window of frames for every `stride` frames: ⌈n / stride⌉ windows for n frames.

    Window i begins at frame `offset + i·stride`; the first and last frame of the video pad it. At most
    `window + stride` frames are in memory, more if `offset` is above 0. By default the offset is
    `offset_of(window, stride)`.
    """
    offset = offset_of(window, stride) if offset is None else offset
    source = iter(frames)
    held: list[Frame] = []
    first = 0  # the number of the frame held[0]
    for snippet in count():
        begin = offset + snippet * stride
        while first + len(held) < max(begin + window, snippet * stride + 1):
            try:
                held.append(next(source))
            except StopIteration:
                break
        end = first + len(held)
        if snippet * stride >= end:
            return
        wanted = range(begin, begin + window)
        yield [held[min(max(number, 0), end - 1) - first] for number in wanted]
        passed = min(max(begin + stride - first, 0), len(held) - 1)
        del held[:passed]
        first += passed


def encoded(
    snippets: Iterable[Sequence[Frame]], encode: Encode, batch: int
) -> Iterator[Float32[np.ndarray, "rows channels"]]:
    """Yield the features of snippets, in order, at least `batch` snippets at a time.

    A snippet of the same arrays as the one before is not encoded again.
    """
    distinct: list[Sequence[Frame]] = []
    repeats: list[int] = []

    def features() -> Float32[np.ndarray, "rows channels"]:
        return np.repeat(encode(np.stack([np.stack(one) for one in distinct])), repeats, axis=0)

    for snippet in snippets:
        if distinct and all(now is before for now, before in zip(snippet, distinct[-1], strict=True)):
            repeats[-1] += 1
            continue
        if len(distinct) == batch:
            yield features()
            distinct, repeats = [], []
        distinct.append(snippet)
        repeats.append(1)
    if distinct:
        yield features()
