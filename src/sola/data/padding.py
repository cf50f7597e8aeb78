"""Detect padding at the end of features: zero snippets or copies of the last snippet."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sola.core.errors import SolaError
from sola.data.streams import Stream

SAMPLE, SLOW_SAMPLE = 32, 8
"""Number of videos to check, and for formats that are slow to read. If one is padded, all videos are checked."""
BLOCK = 256
"""Number of snippets to compare at a time."""


def padding_of(array: Float[np.ndarray, "time channels"]) -> int:
    """Return the number of trailing padding snippets: zeros, or copies of the previous snippet; never all snippets.

    A single zero snippet is not padding.

    >>> padding_of(np.array([[1.0], [2.0], [2.0], [2.0]])), padding_of(np.array([[1.0], [0.0], [0.0]]))
    (2, 2)
    """
    last, repeated = array[-1], 1
    while repeated < len(array):
        block = array[max(len(array) - repeated - BLOCK, 0) : len(array) - repeated]
        differ = np.flatnonzero((block != last).any(axis=1))
        if len(differ):
            repeated += len(block) - 1 - int(differ[-1])
            break
        repeated += len(block)
    if repeated == 1:
        return 0
    return min(repeated if not last.any() else repeated - 1, len(array) - 1)


def find_padding(streams: Sequence[Stream], videos: Sequence[str], *, sampled: bool) -> dict[str, int]:
    """Return the number of trailing padding snippets of each padded video, by video id.

    With `sampled`, return nothing if no video of a sample is padded. Unreadable files are skipped. Only the end of
    memory-mapped arrays is read.
    """
    sample = SAMPLE if all(stream.format.header_is_cheap for stream in streams) else SLOW_SAMPLE
    step = max(len(videos) // sample, 1)
    if sampled and not _padded(streams, videos[::step]):
        return {}
    return _padded(streams, videos)


def _padded(streams: Sequence[Stream], videos: Sequence[str]) -> dict[str, int]:
    padded = {}
    for video in videos:
        try:
            arrays = [stream.stored(video) for stream in streams]
        except SolaError:
            continue
        length = min(map(len, arrays))
        padding = min(padding_of(array[:length]) for array in arrays)
        if padding:
            padded[video] = padding
    return padded
