"""Group frames into windows and encode them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

import numpy as np
from jaxtyping import Float32, UInt8

Frame = UInt8[np.ndarray, "height width 3"]
Encode = Callable[[UInt8[np.ndarray, "batch window height width 3"]], Float32[np.ndarray, "batch channels"]]


def offset_of(window: int, stride: int) -> int:
    """Return the first frame of the first window, so that each window is centered on its `stride` frames."""
    return -((window - stride) // 2)


def windows(frames: Iterable[Frame], window: int, stride: int, *, offset: int | None = None) -> Iterator[list[Frame]]:
    """Yield one window per `stride` frames: ⌈n / stride⌉ windows for n frames.

    Window i starts at frame `offset + i·stride` and is padded with the first or last frame of the video. At most
    `window + stride` frames are in memory, or more if `offset` is positive. The default offset is
    `offset_of(window, stride)`.
    """
    offset = offset_of(window, stride) if offset is None else offset
    source = iter(frames)
    buffer: list[Frame] = []
    first = 0  # index of frame buffer[0]
    for snippet in count():
        begin = offset + snippet * stride
        while first + len(buffer) < max(begin + window, snippet * stride + 1):
            try:
                buffer.append(next(source))
            except StopIteration:
                break
        end = first + len(buffer)
        if snippet * stride >= end:
            return
        frames_of_window = range(begin, begin + window)
        yield [buffer[min(max(number, 0), end - 1) - first] for number in frames_of_window]
        dropped = min(max(begin + stride - first, 0), len(buffer) - 1)
        del buffer[:dropped]
        first += dropped


def encoded(
    snippets: Iterable[Sequence[Frame]], encode: Encode, batch: int
) -> Iterator[Float32[np.ndarray, "rows channels"]]:
    """Yield the features of snippets in order, for at least `batch` snippets at a time.

    A snippet with the same arrays as the previous snippet is not encoded again.
    """
    distinct: list[Sequence[Frame]] = []
    repeats: list[int] = []

    def features() -> Float32[np.ndarray, "rows channels"]:
        return np.repeat(encode(np.stack([np.stack(snippet_frames) for snippet_frames in distinct])), repeats, axis=0)

    for snippet in snippets:
        if distinct and all(frame is previous for frame, previous in zip(snippet, distinct[-1], strict=True)):
            repeats[-1] += 1
            continue
        if len(distinct) == batch:
            yield features()
            distinct, repeats = [], []
        distinct.append(snippet)
        repeats.append(1)
    if distinct:
        yield features()
