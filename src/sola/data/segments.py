"""Segments as arrays of start, end, label and score, and the overlap between segments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

AnySegments = TypeVar("AnySegments", bound="Segments")

BACKGROUND = -1
"""Label of a snippet or frame outside all segments."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Labeled segments of one video, ground truth or detections, as arrays of equal length.

    Examples:
        >>> import numpy as np
        >>> import sola
        >>> segments = sola.Segments(
        ...     start=np.array([1.0, 5.0]), end=np.array([2.5, 9.0]), label=np.array([0, 1]), score=np.array([0.9, 0.4])
        ... )
        >>> confident = segments.take(segments.score > 0.5)
        >>> len(confident), confident.end
        (1, array([2.5]))
    """

    start: Float[np.ndarray, " n"]
    """Start of each segment (seconds)."""
    end: Float[np.ndarray, " n"]
    """End of each segment (seconds)."""
    label: Int[np.ndarray, " n"]
    """Class of each segment, as an index into class names that are stored elsewhere."""
    score: Float[np.ndarray, " n"]
    """Confidence of each segment; 1 for ground truth."""

    @classmethod
    def empty(cls) -> "Segments":
        """Return an object without segments."""
        return cls(np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0))

    def __len__(self) -> int:
        return len(self.start)

    def take(self: AnySegments, index: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"] | slice) -> AnySegments:
        """Return the segments selected by a NumPy index: positions, a mask or a slice."""
        return type(self)(*(column[index] for column in vars(self).values()))


@dataclass(frozen=True, eq=False)
class SegmentTable(Segments):
    """Segments of many videos in one table."""

    video: Int[np.ndarray, " n"]
    """Video of each segment, as an index into video ids that are stored elsewhere."""

    @classmethod
    def empty(cls) -> "SegmentTable":
        """Return a table without segments."""
        return cls.joined([])

    @classmethod
    def joined(cls, videos: Sequence[Segments]) -> "SegmentTable":
        """Return the segments of all videos in order; `video` is the position in `videos`."""
        parts = [Segments.empty(), *videos]
        return cls(
            np.concatenate([video.start for video in parts]),
            np.concatenate([video.end for video in parts]),
            np.concatenate([video.label for video in parts]),
            np.concatenate([video.score for video in parts]),
            np.repeat(np.arange(len(videos)), [len(video) for video in videos]),
        )


def grouped(label: Int[np.ndarray, " n"]) -> dict[int, Int[np.ndarray, " _"]]:
    """Return the positions of each label, in ascending order.

    >>> grouped(np.array([4, 2, 4]))
    {2: array([1]), 4: array([0, 2])}
    """
    order = np.argsort(label, kind="stable")
    labels, first = np.unique(label[order], return_index=True)
    return dict(zip(labels.tolist(), np.split(order, first[1:]), strict=True)) if len(label) else {}


def frame_spans(segments: Segments, frames: int, rate: float) -> Iterator[tuple[int, slice]]:
    """Yield the label and frame slice of each segment, for a video of `frames` frames at `rate` frames per second."""
    first, last = (
        np.clip(np.rint(seconds * rate), 0, frames).astype(np.int64) for seconds in (segments.start, segments.end)
    )
    for label, begin, end in zip(segments.label.tolist(), first.tolist(), last.tolist(), strict=True):
        yield label, slice(begin, end)


def frame_labels(segments: Segments, frames: int, rate: float) -> Int[np.ndarray, " frames"]:
    """Return the label of the highest-scoring segment at each frame (the last one if tied), or `BACKGROUND`.

    >>> start, end = np.array([0.0, 0.2]), np.array([0.3, 0.5])
    >>> frame_labels(Segments(start, end, np.array([4, 5]), np.array([0.9, 0.5])), 6, 10.0)
    array([ 4,  4,  4,  5,  5, -1])
    """
    labels = np.full(frames, BACKGROUND)
    for label, frames_of_segment in frame_spans(segments.take(segments.score.argsort(kind="stable")), frames, rate):
        labels[frames_of_segment] = label
    return labels


def temporal_iou(
    start_a: Float[np.ndarray, " n"],
    end_a: Float[np.ndarray, " n"],
    start_b: Float[np.ndarray, " m"],
    end_b: Float[np.ndarray, " m"],
) -> Float[np.ndarray, "n m"]:
    """Return the temporal intersection over union of all pairs of segments [n, m]; 0 if the union is empty.

    >>> temporal_iou(np.array([0.0]), np.array([2.0]), np.array([1.0, 5.0]), np.array([3.0, 6.0])).round(3)
    array([[0.333, 0.   ]])
    """
    start_a, end_a = start_a[:, None], end_a[:, None]
    intersection = np.clip(np.minimum(end_a, end_b) - np.maximum(start_a, start_b), 0.0, None)
    union = (end_a - start_a) + (end_b - start_b) - intersection
    iou: np.ndarray = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return iou
