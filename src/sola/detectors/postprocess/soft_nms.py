"""Non-maximum suppression, hard and soft: a candidate lowers the scores of weaker ones that overlap it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from sola.core.checks import at_least, finite, fraction, not_negative, positive
from sola.core.errors import SolaError
from sola.data.segments import Segments

SCALE_TOLERANCE = 1e-9
"""Difference at which two videos' candidates count as the same, in lengths of the shortest candidate."""

CACHE_BYTES = 512 * 2**20
"""Maximum size of cached decay factors; a 100-unit map with all its cells takes 204 MB."""

LEAST = float(np.finfo(np.float64).tiny)
"""Smallest divisor, in place of a union of 0."""


@dataclass(frozen=True)
class _Threshold:
    threshold: float
    """Minimum tIoU with the pick, in (0, 1]."""

    by_width: ClassVar = False
    smooth: ClassVar = False

    def __post_init__(self) -> None:
        fraction("(0, 1]", threshold=self.threshold)


class Hard(_Threshold):
    """Score 0 where the tIoU with the pick is `threshold` or more."""

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the factor of each score by its tIoU with the pick; `width` is not used."""
        return np.where(iou >= self.threshold, 0.0, 1.0)


class Linear(_Threshold):
    """Score·(1 - tIoU) where the tIoU with the pick is `threshold` or more (Bodla et al., ICCV 2017)."""

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the factor of each score by its tIoU with the pick; `width` is not used."""
        return np.where(iou >= self.threshold, 1 - iou, 1.0)


@dataclass(frozen=True)
class Gaussian:
    """Score·exp(-tIoU²/σ) (Bodla et al., ICCV 2017); raises SolaError unless σ is positive."""

    sigma: float

    by_width: ClassVar = False
    smooth: ClassVar = True

    def __post_init__(self) -> None:
        positive(sigma=self.sigma)

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the factor of each score by its tIoU with the pick; `width` is not used."""
        decay: np.ndarray = iou * iou
        decay /= -self.sigma
        np.exp(decay, out=decay)
        return decay


@dataclass(frozen=True)
class WidthAdaptive:
    """Score·exp(-tIoU²/α) where the tIoU exceeds low + (high - low)·width of the pick (BMN, Lin et al., ICCV 2019).

    The width is a share of the video's duration, which `suppress` needs. Raises SolaError for a value out of range.
    """

    alpha: float
    low: float
    high: float

    by_width: ClassVar = True
    smooth: ClassVar = False

    def __post_init__(self) -> None:
        positive(alpha=self.alpha)
        finite(low=self.low, high=self.high)

    def factor(self, iou: Float[np.ndarray, " n"], width: float) -> Float[np.ndarray, " n"]:
        """Return the factor of each score by its tIoU with a pick of this share of the video."""
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
    """Return each video's picks, in the order of their decayed scores.

    The candidate with the highest current score is picked (of equals, the first) and lowers the scores of the others,
    with `class_aware` only those of its own label, until `max_detections` are picked in the video or no score is above
    `min_score`. Candidates of score 0 are never picked. Only `WidthAdaptive` needs the `durations` of the videos, in
    the unit of the segments.

    It is fast where videos have the same candidates but for their scores, as on the cells of a proposal map: up to
    scale and shift with `Gaussian`, bit for bit (and by duration) with the others. With those, suppress in units of
    the map and convert to seconds afterwards.

    Raises SolaError when `max_detections` is not positive, `min_score` negative, a number not finite, or the durations
    are missing or not positive.

    >>> candidates = Segments(np.array([0.0, 0.0, 6.0]), np.array([4.0, 4.0, 8.0]), np.zeros(3, int),
    ...                       np.array([0.9, 0.8, 0.5]))
    >>> [kept] = suppress([candidates], Gaussian(0.8), max_detections=2)
    >>> kept.start, kept.score
    (array([0., 6.]), array([0.9, 0.5]))
    """
    at_least(1, max_detections=max_detections)
    not_negative(min_score=min_score)
    if durations is None:
        if decay.by_width:
            raise SolaError("WidthAdaptive needs the videos' durations; pass durations=, one per video")
        durations = [1.0] * len(videos)
    if len(durations) != len(videos):
        raise SolaError(f"{len(durations)} durations for {len(videos)} videos; expected one per video")
    kept = [Segments.empty()] * len(videos)
    shared: _Candidates | None = None
    for position in sorted(range(len(videos)), key=lambda position: len(videos[position])):  # equal sizes together
        video, duration = videos[position], durations[position]
        where = f"video {position} of the list"
        for name in ("start", "end", "score"):
            if not np.isfinite(getattr(video, name)).all():
                raise SolaError(f"{where}: a candidate's {name} is not finite; leave such candidates out")
        if not 0 < duration < math.inf:
            raise SolaError(f"{where}: the duration must be a positive number, not {duration}")
        candidates = _Candidates(video, float(duration), decay, class_aware)
        if shared is None or not shared.serves(candidates):
            shared = candidates
        kept[position] = _greedy(video, shared, max_detections, min_score)
    return kept


def _greedy(video: Segments, candidates: "_Candidates", max_detections: int, min_score: float) -> Segments:
    """Pick greedily; the factors of a pick come from `candidates`, and are 0 for itself."""
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
        np.multiply(current, candidates.factors(best), out=current)
    chosen = video.take(np.array(picks, np.int64))
    return Segments(chosen.start, chosen.end, chosen.label, np.array(scores, np.float64))


class _Candidates:
    """Candidates, without their scores, that one or more videos share, and their decay factors."""

    def __init__(self, video: Segments, duration: float, decay: Decay, class_aware: bool) -> None:
        self.start = video.start.astype(np.float64)
        self.end = video.end.astype(np.float64)
        self.length = self.end - self.start
        self.duration, self.decay = duration, decay
        self.mixed = class_aware and len(video) > 0 and bool((video.label != video.label[0]).any())
        self.label: Int[np.ndarray, " n"] = video.label if self.mixed else np.zeros(len(video), np.int64)
        self.cached: dict[int, Float[np.ndarray, " n"]] = {}
        self.room = CACHE_BYTES // (8 * max(len(video), 1))

    def serves(self, other: "_Candidates") -> bool:
        """Return whether `other` has the same factors."""
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
        tolerance = SCALE_TOLERANCE * self.length.min()  # relative to the shortest, whose tIoU errs the most
        for mine, its in ((self.start, other.start), (self.end, other.end)):
            difference = (its - other_origin) * scale
            difference += origin
            difference -= mine
            if not np.abs(difference, out=difference).max() <= tolerance:
                return False
        return True

    def factors(self, pick: int) -> Float[np.ndarray, " n"]:
        """Return the factors of all scores for a pick: 0 for itself, so that it is not picked again."""
        factors = self.cached.get(pick)
        if factors is None:
            factors = self.decay.factor(self._iou(pick), float(self.length[pick]) / self.duration)
            if self.mixed:
                factors[self.label != self.label[pick]] = 1.0
            factors[pick] = 0.0
            if len(self.cached) < self.room:
                self.cached[pick] = factors
        return factors

    def _iou(self, pick: int) -> Float[np.ndarray, " n"]:
        """`segments.temporal_iou` of one with all, in place: this is where the time goes."""
        intersection: np.ndarray = np.minimum(self.end, self.end[pick])
        intersection -= np.maximum(self.start, self.start[pick])
        np.maximum(intersection, 0.0, out=intersection)
        union = self.length + self.length[pick]
        union -= intersection
        np.maximum(union, LEAST, out=union)  # an empty union has an empty intersection: 0
        intersection /= union
        return intersection
