"""Padding at the end of features: snippets that repeat the last one, or are all zero."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.streams import Stream

SAMPLE, SLOW_SAMPLE = 32, 8
"""Videos that are looked at, and those of formats that are slow to read; if one of them is padded, all are."""
BLOCK = 256
"""Snippets that are compared at a time."""


def padding_of(array: Float[np.ndarray, "time channels"]) -> int:
    """Return how many snippets at the end are padding: zeros, or copies of the snippet before; never all of them.

    One snippet of zeros is no padding.

    >>> padding_of(np.array([[1.0], [2.0], [2.0], [2.0]])), padding_of(np.array([[1.0], [0.0], [0.0]]))
    (2, 2)
    """
    last, run = array[-1], 1
    while run < len(array):
        block = array[max(len(array) - run - BLOCK, 0) : len(array) - run]
        differ = np.flatnonzero((block != last).any(axis=1))
        if len(differ):
            run += len(block) - 1 - int(differ[-1])
            break
        run += len(block)
    if run == 1:
        return 0
    return min(run if not last.any() else run - 1, len(array) - 1)


def find_padding(streams: Sequence[Stream], videos: Sequence[str], *, sampled: bool) -> dict[str, int]:
    """Return the snippets of padding at the end of each padded video; if `sampled`, only if one of a sample is padded.

    Unreadable files are left out. Of arrays that can be memory-mapped, only the end is read.
    """
    sample = SAMPLE if all(stream.format.header_is_cheap for stream in streams) else SLOW_SAMPLE
    step = max(len(videos) // sample, 1)
    if sampled and not _padded(streams, videos[::step]):
        return {}
    return _padded(streams, videos)


def _padded(streams: Sequence[Stream], videos: Sequence[str]) -> dict[str, int]:
    found = {}
    for video in videos:
        try:
            arrays = [stream.stored(video) for stream in streams]
        except SolaError:
            continue
        length = min(map(len, arrays))
        padding = min(padding_of(array[:length]) for array in arrays)
        if padding:
            found[video] = padding
    return found
