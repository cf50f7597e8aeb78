"""Compare the end of the last snippet with the end of each video, to detect wrong timing.

If most videos contradict the timing in the same way, it is an error with the likely cause. A few videos that disagree
are a finding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from sola.core.errors import SolaError
from sola.data.findings import TOLERANCE, Finding, seconds

if TYPE_CHECKING:
    from sola.data.dataset_video import Video

SNIPPETS = 2
"""Accepted difference between the end of the features and the end of the video (strides)."""
ROUNDING = 1.0
"""Accepted rounding error if all durations are whole seconds (seconds)."""
SAME = 0.1
"""Relative difference up to which two factors or two shifts count as equal."""
MOST = 0.8
"""Fraction of the disagreeing videos that a single cause must explain."""
SMALL_SHIFT = 8
"""Largest shift (strides) that is preferred to a factor for videos of equal length."""
RATE = 3.0
"""Accepted factor between a video's snippets per second and the median."""
ENOUGH = 5
"""Minimum number of videos for checks that use a maximum."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Ends of videos (seconds) and the values that determine them; NaN if unknown."""

    ids: Sequence[str]
    lengths: Float[np.ndarray, " videos"]
    """Number of snippets without padding."""
    features: Float[np.ndarray, " videos"]
    """End of the last snippet (seconds), if fps is known and not derived from the duration."""
    duration: Float[np.ndarray, " videos"]
    """Video duration (seconds)."""
    covered: Float[np.ndarray, " videos"]
    """Time covered by the features according to the annotations (seconds): the duration, or less if the file has
    feature_frame, as for BMN and G-TAD."""
    fps: Float[np.ndarray, " videos"]
    """Frame rate of the features (frames per second)."""
    stride: Float[np.ndarray, " videos"]
    """Snippet stride (frames)."""
    window: Float[np.ndarray, " videos"]
    """Snippet length (frames)."""
    offset: Float[np.ndarray, " videos"]
    """Start of the first snippet (frames)."""
    annotated_fps: Float[np.ndarray, " videos"]
    """Frame rate in the annotations (frames per second)."""

    @classmethod
    def of(
        cls,
        videos: Sequence["Video"],
        padding: Mapping[str, int],
        durations: Sequence[float | None],
        covered: Sequence[float | None],
        annotated_fps: Sequence[float | None],
    ) -> "Ends":
        """Collect the ends of videos.

        Args:
            videos: videos with features.
            padding: number of trailing padding snippets to exclude, by feature id.
            durations: durations in the annotations (seconds).
            covered: time covered by the features according to the annotations (seconds).
            annotated_fps: frame rates in the annotations (frames per second).
        """
        columns = np.full((5, len(videos)), np.nan)
        for index, (video, duration) in enumerate(zip(videos, covered, strict=True)):
            grid = video.timing
            if grid is None or (duration is not None and grid == type(grid).covering(duration, video.length)):
                continue
            length = video.length - padding.get(video.feature_id, 0)
            last = (grid.offset + (length - 1) * grid.stride + grid.window) / grid.fps
            columns[:, index] = last, grid.fps, grid.stride, grid.window, grid.offset
        end, fps, stride, window, offset = columns
        annotated = [np.array(values, float) for values in (durations, covered, annotated_fps)]
        lengths = np.array([video.length - padding.get(video.feature_id, 0) for video in videos], float)
        ids = [video.id for video in videos]
        return cls(ids, lengths, end, annotated[0], annotated[1], fps, stride, window, offset, annotated[2])

    @property
    def rounding(self) -> float:
        """Rounding error of the durations (seconds), nonzero if all are whole seconds."""
        known = self.duration[np.isfinite(self.duration)]
        return ROUNDING if len(known) and (known == np.round(known)).all() else 0.0

    @property
    def slack(self) -> Float[np.ndarray, " videos"]:
        """Accepted difference between an end and the duration (seconds)."""
        seconds: np.ndarray = np.fmax(SNIPPETS * self.stride / self.fps, TOLERANCE * self.duration) + self.rounding
        return seconds

    def disagree(self, ends: Float[np.ndarray, " videos"]) -> Bool[np.ndarray, " videos"]:
        """Return a mask of videos with features that end too far from the duration, given their ends (seconds).

        The last window may extend past the end of the video, because encoders pad it.
        """
        overhang = np.fmax(self.slack, self.window / self.fps + self.rounding)
        short = ends < np.fmin(self.duration, self.covered) - self.slack
        far: np.ndarray = short | (ends > self.duration + overhang)
        return far


def check_durations(ends: Ends, origin: str) -> list[Finding]:
    """Return a finding for features that do not end with their video.

    `origin` is advice on where to correct fps and stride. Raises SolaError if most videos disagree by the same factor,
    and by more than 10 %.
    """
    known = np.isfinite(ends.features) & np.isfinite(ends.duration)
    if not known.any():
        return []
    wrong = known & ends.disagree(ends.features)
    shift = _common_shift(ends, known)
    cause = "" if shift is None else _shift_cause(ends, known, shift)
    if cause:
        wrong = known
    if not wrong.any():
        return []
    most = 2 * wrong.sum() > known.sum()
    first = int(np.argmax(wrong))
    factors = (ends.features / ends.duration)[wrong]
    factor = float(np.median(factors))
    if most and not cause and np.mean(np.abs(factors / factor - 1) <= SAME) >= MOST:
        cause = _factor_cause(ends, first, factor, origin)
        if max(factor, 1 / factor) > 1 + SAME:
            raise SolaError(
                f"video {ends.ids[first]!r}: its last snippet ends at {seconds(ends.features[first])} s, but the video "
                f"lasts {seconds(ends.duration[first])} s, and {int(wrong.sum())} of {int(known.sum())} videos "
                f"disagree by the same factor: {cause}"
            )
    if most and not cause:
        cause = _varied_cause(ends, wrong)
    example = (
        f"{ends.ids[first]!r} (the last snippet ends at {seconds(ends.features[first])} s, "
        f"the video at {seconds(ends.duration[first])} s)"
    )
    return [Finding("timing", int(wrong.sum()), example, cause)]


def _common_shift(ends: Ends, known: Bool[np.ndarray, " videos"]) -> float | None:
    """Return the common shift of the feature ends of most videos (frames), or None if a factor fits better."""
    missed = ((ends.features - ends.duration) * ends.fps)[known]
    shift, stride = float(np.median(missed)), float(np.median(ends.stride[known]))
    rounding = ends.rounding * float(np.median(ends.fps[known]))
    off = np.abs(missed - shift)
    if np.mean(off <= max(stride + rounding, SAME * abs(shift))) < MOST:
        return None
    ratio = (ends.features / ends.duration)[known]
    by_factor = np.abs((ratio - np.median(ratio)) * (ends.duration * ends.fps)[known])
    if np.median(off) < np.median(by_factor) - stride:
        return shift
    moved = np.abs(ends.offset + ends.window - ends.stride)[known]  # by offset and window
    return shift if abs(shift) <= max(SMALL_SHIFT * stride, float(np.median(moved))) else None


def _shift_cause(ends: Ends, known: Bool[np.ndarray, " videos"], shift: float) -> str:
    """Return whether offset or window explains a common `shift` (frames), or an empty string if the shift is normal."""
    stride, window, offset = (float(np.median(values[known])) for values in (ends.stride, ends.window, ends.offset))
    spare = ends.rounding * float(np.median(ends.fps[known])) + stride
    near = SNIPPETS * stride + spare
    allowed = max(SNIPPETS * stride, window / 2) + spare
    reached = shift > max(allowed, window + spare) if offset > 0 else shift < -near
    if offset and reached and abs(shift - offset) <= near:
        return f"offset {offset:g} looks {abs(offset):g} frames too {'large' if offset > 0 else 'small'}"
    if (
        allowed < shift <= window - stride
    ):  # larger shifts are normal if windows start inside the video and the encoder pads
        return f"window {window:g} looks {shift:.0f} frames too large"
    if shift < -near:
        return f"window {window:g} looks {-shift:.0f} frames too small"
    return ""


def _factor_cause(ends: Ends, video: int, factor: float, origin: str) -> str:
    """Return the likely cause if the features of most videos are `factor` times as long as the video."""
    fps, stride, annotated = ends.fps[video], ends.stride[video], ends.annotated_fps[video]
    for unit, size in (("milliseconds", 1000.0), ("microseconds", 1e6)):
        if abs(factor * size - 1) <= SAME:
            return f"the durations look like {unit}; expected seconds"
    if np.isfinite(annotated) and abs(annotated / fps / factor - 1) <= SAME:
        return f"fps {fps:g} looks {_times(1 / factor)}, the annotations have {annotated:g}; {origin}"
    partly = ", or the features cover a part of each video only" if factor < 1 else ""
    if abs(factor * fps - 1) <= SAME:
        partly = ", or the durations are in frames"
    right = f"stride {stride / factor:.4g} or fps {fps * factor:.4g} would fit"
    return f"stride {stride:g} looks {_times(factor)}, or fps {fps:g} {_times(1 / factor)}{partly} ({right}); {origin}"


def _times(factor: float) -> str:
    return f"{factor:.3g}x too large" if factor > 1 else f"{1 / factor:.3g}x too small"


def _varied_cause(ends: Ends, wrong: Bool[np.ndarray, " videos"]) -> str:
    """Return the likely cause if most videos disagree by different factors."""
    lengths, longer = ends.lengths[wrong], np.mean((ends.features > ends.duration)[wrong])
    if len(lengths) > 1 and lengths.min() == lengths.max():
        other = "padded" if longer > 1 - MOST else "cut"
        return (
            f"all have {lengths[0]:g} snippets, so they look {other}, or rescaled to one length (then omit fps and "
            "stride)"
        )
    by_rate = (ends.annotated_fps / ends.fps * ends.duration / ends.features)[wrong]
    if np.mean(np.abs(by_rate - 1) <= TOLERANCE) >= MOST:
        rates = ends.annotated_fps[wrong]
        return (
            f"fps {np.median(ends.fps[wrong]):g} is not the frame rate of all videos, the annotations have "
            f"{rates.min():g} to {rates.max():g}: omit fps"
        )
    if longer >= MOST:
        return "the durations look like those of trimmed clips, or the features are padded; check both"
    if longer <= 1 - MOST:
        return "the features look cut short; check them, fps and stride"
    return "durations and features look like those of different videos; check both"


def check_rate(ends: Ends) -> list[Finding]:
    """Return a finding if snippets per second differ widely between videos of unknown fps."""
    tiled = ~np.isfinite(ends.features) & np.isfinite(ends.duration)
    lengths, durations = ends.lengths[tiled], ends.duration[tiled]
    if len(lengths) < ENOUGH or lengths.min() == lengths.max():
        return []
    rate = lengths / durations
    low, high = np.quantile(rate, [1 - MOST, MOST])
    outliers = (rate < np.median(rate) / RATE) | (rate > np.median(rate) * RATE)
    if high <= RATE * low and not outliers.any():
        return []
    wrong = np.flatnonzero(tiled)[outliers] if outliers.any() else np.flatnonzero(tiled)
    first = int(wrong[0])
    example = f"{ends.ids[first]!r} ({ends.lengths[first]:g} snippets in {seconds(ends.duration[first])} s)"
    cause = (
        f"the median is {np.median(rate):.3g} snippets per second, so durations or features look like those of other "
        "videos, cut or padded"
    )
    return [Finding("timing", len(wrong), example, cause)]
