"""Hard and soft non-maximum suppression: a candidate lowers the scores of overlapping candidates with lower scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from sola.core.checks import at_least, finite, fraction, not_negative, positive
from sola.core.errors import SolaError
from sola.data.segments import Segments, grouped

SCALE_TOLERANCE = 1e-9
"""Maximum difference between the candidates of two videos that count as equal, as a share of the shortest candidate."""

CACHE_BYTES = 512 * 2**20
"""Maximum size of cached decay factors; all cells of a 100-unit map take 204 MB."""

LEAST = float(np.finfo(np.float64).tiny)
"""Smallest divisor, used instead of a union of 0."""


@dataclass(frozen=True)
class _Threshold:
    threshold: float
    """Minimum tIoU with the pick at which the score decays, in (0, 1]."""

    by_width: ClassVar = False
    smooth: ClassVar = False

    def __post_init__(self) -> None:
        fraction("(0, 1]", threshold=self.threshold)


class Hard(_Threshold):
    """Set the score to 0 if the tIoU with the pick is `threshold` or more."""

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the score factors for these tIoUs with the pick; `width` is not used."""
        return np.where(iou >= self.threshold, 0.0, 1.0)


class Linear(_Threshold):
    """Multiply the score by 1 - tIoU if the tIoU with the pick is `threshold` or more (Bodla et al., ICCV 2017)."""

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the score factors for these tIoUs with the pick; `width` is not used."""
        return np.where(iou >= self.threshold, 1 - iou, 1.0)


@dataclass(frozen=True)
class Gaussian:
    """Multiply the score by exp(-tIoU²/σ) (Bodla et al., ICCV 2017).

    Raises:
        SolaError: if σ is not positive.
    """

    sigma: float
    """σ of the decay."""

    by_width: ClassVar = False
    smooth: ClassVar = True

    def __post_init__(self) -> None:
        positive(sigma=self.sigma)

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the score factors for these tIoUs with the pick; `width` is not used."""
        decay: np.ndarray = iou * iou
        decay /= -self.sigma
        np.exp(decay, out=decay)
        return decay


@dataclass(frozen=True)
class WidthAdaptive:
    """Multiply the score by exp(-tIoU²/α) if the tIoU exceeds low + (high - low)·width (BMN, Lin et al., ICCV 2019).

    The width is the length of the pick as a share of the video's duration, so `suppress` needs the durations.

    Raises:
        SolaError: if a value is out of range.
    """

    alpha: float
    """α of the decay."""
    low: float
    """tIoU threshold for a pick of width 0."""
    high: float
    """tIoU threshold for a pick as long as the video."""

    by_width: ClassVar = True
    smooth: ClassVar = False

    def __post_init__(self) -> None:
        positive(alpha=self.alpha)
        finite(low=self.low, high=self.high)

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the score factors for these tIoUs with a pick of this width (share of the video)."""
        threshold = self.low + (self.high - self.low) * width
        return np.where(iou > threshold, np.exp(iou * iou / -self.alpha), 1.0)


Decay = Hard | Linear | Gaussian | WidthAdaptive


def suppress(
    videos: Sequence[Segments],
    decay: Decay,
    *,
    max_detections: int,
    min_score: float = 0.0,
    class_aware: bool = True,
    durations: Sequence[float] | None = None,
) -> list[Segments]:
    """Return the picks of each video, sorted by descending decayed score.

    Repeatedly, the candidate with the highest current score is picked (of equal scores, the first), and it lowers the
    scores of the other candidates. This ends when `max_detections` are picked in the video, or no score is above
    `min_score`. Candidates with score 0 are never picked.

    Suppression is fast if several videos have the same candidates with different scores, like the cells of a proposal
    map. With `Gaussian`, the candidates may differ in scale and shift. With other decays, they must be exactly equal
    (for `WidthAdaptive`, the durations too), so suppress in units of the map and convert to seconds afterwards.

    Args:
        videos: candidates of each video.
        decay: score decay of overlapping candidates.
        max_detections: maximum number of picks per video.
        min_score: score that a pick must exceed.
        class_aware: lower only the scores of candidates with the same label as the pick.
        durations: duration of each video in the unit of the segments, required only for `WidthAdaptive`.

    Raises:
        SolaError: if `max_detections` is not positive, `min_score` is negative, a number is not finite, or durations
            are missing or not positive.

    >>> candidates = Segments(np.array([0.0, 0.0, 6.0]), np.array([4.0, 4.0, 8.0]), np.zeros(3, int),
    ...                       np.array([0.9, 0.8, 0.5]))
    >>> [picks] = suppress([candidates], Gaussian(0.8), max_detections=2)
    >>> picks.start, picks.score
    (array([0., 6.]), array([0.9, 0.5]))
    """
    at_least(1, max_detections=max_detections)
    not_negative(min_score=min_score)
    if durations is None:
        if decay.by_width:
            raise SolaError("WidthAdaptive needs the durations of the videos; pass durations, one per video")
        durations = [1.0] * len(videos)
    if len(durations) != len(videos):
        raise SolaError(f"{len(durations)} durations for {len(videos)} videos; expected one per video")
    picks = [Segments.empty()] * len(videos)
    shared: _Candidates | None = None
    # videos of equal size follow each other
    for position in sorted(range(len(videos)), key=lambda position: len(videos[position])):
        video, duration = videos[position], durations[position]
        where = f"video {position} of the list"
        for name in ("start", "end", "score"):
            if not np.isfinite(getattr(video, name)).all():
                raise SolaError(f"{where}: a candidate's {name} is not finite; remove candidates that are not finite")
        if not 0 < duration < math.inf:
            raise SolaError(f"{where}: the duration must be a positive number, not {duration}")
        candidates = _Candidates(video, float(duration), decay, class_aware)
        if shared is None or not shared.serves(candidates):
            shared = candidates
        picks[position] = _greedy(video, shared, max_detections, min_score)
    return picks


def _greedy(video: Segments, candidates: "_Candidates", max_detections: int, min_score: float) -> Segments:
    """Pick candidates greedily; `candidates` has the score factors of each pick, which are 0 for the pick itself."""
    current = video.score.astype(np.float64)
    picks: list[int] = []
    scores: list[float] = []
    while len(picks) < min(max_detections, len(video)):
        best = int(current.argmax())
        score = float(current[best])
        if score <= min_score:
            break
        picks.append(best)
        scores.append(score)
        candidates.lower(current, best)
    chosen = video.take(np.array(picks, np.int64))
    return Segments(chosen.start, chosen.end, chosen.label, np.array(scores, np.float64))


class _Candidates:
    """Candidates without scores, shared by one or more videos, and their decay factors."""

    def __init__(self, video: Segments, duration: float, decay: Decay, class_aware: bool) -> None:
        self.start = video.start.astype(np.float64)
        self.end = video.end.astype(np.float64)
        self.length = self.end - self.start
        self.duration, self.decay = duration, decay
        self.label: Int[np.ndarray, " n"] = video.label if class_aware else np.zeros(len(video), np.int64)
        self.cached: dict[int, Float[np.ndarray, " _"]] = {}
        self.room = CACHE_BYTES // (8 * max(len(video), 1))

    @cached_property
    def by_label(self) -> dict[int, Int[np.ndarray, " _"]]:
        """Positions of the candidates of each label."""
        return grouped(self.label)

    def serves(self, other: "_Candidates") -> bool:
        """Return whether `other` has the same decay factors."""
        if not np.array_equal(self.label, other.label):
            return False
        if np.array_equal(self.start, other.start) and np.array_equal(self.end, other.end):
            return self.duration == other.duration or not self.decay.by_width
        return self.decay.smooth and self._same_up_to_scale(other)

    def _same_up_to_scale(self, other: "_Candidates") -> bool:
        origin, other_origin = self.start.min(), other.start.min()
        extent, other_extent = self.end.max() - origin, other.end.max() - other_origin
        if not (extent > 0 and other_extent > 0):
            return False
        scale = extent / other_extent
        tolerance = SCALE_TOLERANCE * self.length.min()  # the tIoU of the shortest candidate is the most sensitive
        for times, other_times in ((self.start, other.start), (self.end, other.end)):
            difference = (other_times - other_origin) * scale
            difference += origin
            difference -= times
            if not np.abs(difference, out=difference).max() <= tolerance:
                return False
        return True

    def lower(self, scores: Float[np.ndarray, " n"], pick: int) -> None:
        """Multiply the scores of the rivals of a pick by their factors, in place."""
        rivals, factors = self.rivals(pick), self.factors(pick)
        if isinstance(rivals, slice):
            np.multiply(scores, factors, out=scores)
        else:
            scores[rivals] *= factors

    def rivals(self, pick: int) -> Int[np.ndarray, " _"] | slice:
        """Return the positions of the candidates whose scores a pick lowers: those with its label."""
        return self.by_label[int(self.label[pick])] if len(self.by_label) > 1 else slice(None)

    def factors(self, pick: int) -> Float[np.ndarray, " _"]:
        """Return the factors of the scores of all rivals; that of the pick is 0, so that it is not picked again."""
        factors = self.cached.get(pick)
        if factors is None:
            rivals = self.rivals(pick)
            factors = self.decay.factor(self._iou(pick, rivals), float(self.length[pick]) / self.duration)
            factors[pick if isinstance(rivals, slice) else np.searchsorted(rivals, pick)] = 0.0
            if len(self.cached) < self.room:
                self.cached[pick] = factors
        return factors

    def _iou(self, pick: int, rivals: Int[np.ndarray, " _"] | slice) -> Float[np.ndarray, " _"]:
        """Return the tIoU of a pick with its rivals; in place, because this takes most of the time."""
        intersection: np.ndarray = np.minimum(self.end[rivals], self.end[pick])
        intersection -= np.maximum(self.start[rivals], self.start[pick])
        np.maximum(intersection, 0.0, out=intersection)
        union = self.length[rivals] + self.length[pick]
        union -= intersection
        np.maximum(union, LEAST, out=union)  # if the union is 0, so is the intersection
        intersection /= union
        return intersection
