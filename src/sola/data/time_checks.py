"""Comparison of three ends of each video: of its last snippet, of the video, and of its last instance.

Timing that most videos contradict in the same way is refused, with the likely cause; a few that disagree are a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from sola.core.errors import SolaError
from sola.data.findings import TOLERANCE, Finding, Instances, seconds

if TYPE_CHECKING:
    from sola.data.dataset import Video

SNIPPETS = 2
"""Snippets by which the end of the features may miss the end of the video."""
OVERHANG = 4
"""Strides that a window may reach past the end of the video, where encoders pad."""
SAME = 0.1
"""Relative difference up to which two factors are the same."""
MOST = 0.8
"""Share of the videos that disagree for which one cause must hold."""
FRAME_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
"""Usual frame rates, in frames per second, to recognize times in frames."""
SHORT = 0.5
"""Largest share of the features at which the last instance of all videos is suspicious."""
PLAUSIBLE = 0.2
"""Share of a video that nearly all of its last instances exceed: a larger unit for the times is no explanation."""
FRACTION_BELOW = 20.0
"""Median duration in seconds from which times that never exceed 1 are suspicious."""
ENOUGH = 5
"""Videos needed to judge by the largest of a quantity."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Ends of videos in seconds, and what they follow from; NaN where unknown."""

    ids: Sequence[str]
    lengths: Float[np.ndarray, " videos"]
    """Snippets."""
    features: Float[np.ndarray, " videos"]
    """End of the last snippet, where fps is known: not where snippets tile the duration."""
    duration: Float[np.ndarray, " videos"]
    covered: Float[np.ndarray, " videos"]
    """Seconds that features are said to cover: the duration, or less (feature_frame in files of BMN and G-TAD)."""
    fps: Float[np.ndarray, " videos"]
    stride: Float[np.ndarray, " videos"]
    """Frames."""
    window: Float[np.ndarray, " videos"]
    """Frames."""
    offset: Float[np.ndarray, " videos"]
    """Frames."""
    annotated_fps: Float[np.ndarray, " videos"]

    @classmethod
    def of(
        cls,
        videos: Sequence["Video"],
        durations: Sequence[float | None],
        covered: Sequence[float | None],
        annotated_fps: Sequence[float | None],
    ) -> "Ends":
        """Collect the ends of videos; the other arguments are those of their annotations."""
        columns = np.full((5, len(videos)), np.nan)
        for index, (video, duration) in enumerate(zip(videos, covered, strict=True)):
            grid = video.timing
            if grid is None or (duration is not None and grid == type(grid).covering(duration, video.length)):
                continue
            last = (grid.offset + (video.length - 1) * grid.stride + grid.window) / grid.fps
            columns[:, index] = last, grid.fps, grid.stride, grid.window, grid.offset
        end, fps, stride, window, offset = columns
        known = [np.array(values, float) for values in (durations, covered, annotated_fps)]
        lengths = np.array([video.length for video in videos], float)
        ids = [video.id for video in videos]
        return cls(ids, lengths, end, known[0], known[1], fps, stride, window, offset, known[2])

    @property
    def frames(self) -> Float[np.ndarray, " videos"]:
        """Frames by which the end of the features may miss that of the video, besides a share of the duration."""
        frames: np.ndarray = np.maximum(SNIPPETS * self.stride, np.minimum(self.window, OVERHANG * self.stride))
        return frames

    def disagree(self, ends: Float[np.ndarray, " videos"], share: float = TOLERANCE) -> Bool[np.ndarray, " videos"]:
        """Whether features that ended at these seconds would disagree with the duration."""
        slack = np.fmax(self.frames / self.fps, share * self.duration)
        far: np.ndarray = (np.abs(ends - self.duration) > slack) & (np.abs(ends - self.covered) > slack)
        return far


def check_durations(ends: Ends, origin: str) -> list[Finding]:
    """Return the finding that features end elsewhere than their videos.

    `origin` says where fps and stride come from. Raises SolaError if most videos disagree by the same factor.
    """
    known = np.isfinite(ends.features) & np.isfinite(ends.duration)
    if not known.any():
        return []
    wrong = known & ends.disagree(ends.features)
    shift = _common_shift(ends, known)
    if shift is not None:
        wrong = known
    if not wrong.any():
        return []
    most = 2 * wrong.sum() > known.sum()
    first = int(np.argmax(wrong))
    example = (
        f"{ends.ids[first]!r} (the last snippet ends at {seconds(ends.features[first])} s, "
        f"the video at {seconds(ends.duration[first])} s)"
    )
    factors = (ends.features / ends.duration)[wrong]
    factor = float(np.median(factors))
    cause = _additive_cause(ends, wrong, shift) if most else ""
    if most and not cause and np.mean(np.abs(factors / factor - 1) <= SAME) >= MOST:
        raise SolaError(
            f"video {ends.ids[first]!r}: its last snippet ends at {seconds(ends.features[first])} s, but the video "
            f"lasts {seconds(ends.duration[first])} s, and {int(wrong.sum())} of {int(known.sum())} videos disagree by "
            f"the same factor: {_factor_cause(ends, first, factor)}; {origin}"
        )
    if most and not cause:
        cause = _varied_cause(ends, wrong)
    return [Finding("timing", int(wrong.sum()), example, cause)]


def _common_shift(ends: Ends, known: Bool[np.ndarray, " videos"]) -> float | None:
    """Return the frames by which the features of most videos miss the end alike, if these are too many."""
    missed = ((ends.features - ends.duration) * ends.fps)[known]
    shift = float(np.median(missed))
    allowed = float(np.median(ends.frames[known]))
    alike = np.abs(missed - shift) <= max(allowed / SNIPPETS, SAME * abs(shift))
    return shift if abs(shift) > allowed and alike.mean() >= MOST else None


def _additive_cause(ends: Ends, wrong: Bool[np.ndarray, " videos"], shift: float | None) -> str:
    """Return which of offset and window explains that features miss the end, if one does."""
    surplus = {"offset": ends.offset, "window": ends.window - ends.stride}
    for name, frames in surplus.items():
        value = float(np.median(getattr(ends, name)[wrong]))
        without = ends.features - frames / ends.fps
        if np.any(frames[wrong] != 0) and np.mean(ends.disagree(without, 0.0)[wrong]) <= 1 - MOST:
            size = "large" if float(np.median(frames[wrong])) > 0 else "small"
            return f"{name} {value:g} looks {abs(float(np.median(frames[wrong]))):g} frames too {size}"
    # videos of different length that miss the end by the same time: no factor does that
    durations = ends.duration[wrong]
    if shift is not None and (durations.max() > 1.5 * durations.min() or len(durations) == 1):
        return f"window or offset looks {abs(shift):.0f} frames too {'large' if shift > 0 else 'small'}"
    return ""


def _factor_cause(ends: Ends, video: int, factor: float) -> str:
    """Return the likely cause if the features of most videos are `factor` times as long as the videos."""
    fps, stride, annotated = ends.fps[video], ends.stride[video], ends.annotated_fps[video]
    for unit, size in (("milliseconds", 1000.0), ("microseconds", 1e6)):
        if abs(factor * size - 1) <= SAME:
            return f"the durations look like {unit}; expected seconds"
    if abs(factor * fps - 1) <= SAME:
        return f"the durations look like frames at {fps:g} fps; expected seconds"
    if np.isfinite(annotated) and abs(annotated / fps / factor - 1) <= SAME:
        return f"fps {fps:g} looks {_times(1 / factor)}, the annotations say {annotated:g}"
    partly = ", or the features cover a part of each video only" if factor < 1 else ""
    right = f"stride {stride / factor:.3g} or fps {fps * factor:.3g} would fit"
    return f"stride {stride:g} looks {_times(factor)}, or fps {fps:g} {_times(1 / factor)}{partly} ({right})"


def _times(factor: float) -> str:
    return f"{factor:.3g}x too large" if factor > 1 else f"{1 / factor:.3g}x too small"


def _varied_cause(ends: Ends, wrong: Bool[np.ndarray, " videos"]) -> str:
    """Return the likely cause if most videos disagree, each by another factor."""
    lengths = ends.lengths[wrong]
    if len(lengths) > 1 and lengths.min() == lengths.max():
        return (
            f"all have {lengths[0]:g} snippets, so they look rescaled to one length (leave out fps and stride) or "
            "padded (pass --trim-padding)"
        )
    if np.mean((ends.features > ends.duration)[wrong]) >= MOST:
        return "the durations look like those of trimmed clips, or the features are padded; check both"
    return "the features look cut short; check them, fps and stride"


def check_instances(ends: Ends, instances: Instances, outside: Bool[np.ndarray, " n"]) -> None:
    """Raise SolaError if most instances lie after the end of their video, and their times look like another unit.

    `outside` marks instances that leave the video or, where its duration is unknown, the features.
    """
    limit = np.where(np.isfinite(ends.duration), ends.duration, ends.features)
    judged = np.isfinite(limit[instances.owner])
    if not judged.any():
        return
    _check_fractions(ends, instances, limit, judged)
    late = judged & outside & (instances.end > limit[instances.owner])
    within = judged & (instances.end <= ends.features[instances.owner] * (1 + TOLERANCE))
    if 2 * late.sum() <= judged.sum() or 2 * within.sum() > judged.sum():
        return  # if the features are as long as the times say, the durations are wrong
    ratio = instances.end[judged] / limit[instances.owner][judged]
    cause = _unit(ends, ratio)
    if not cause:
        return
    first = int(np.argmax(late))
    video = int(instances.owner[first])
    what = "the video lasts" if np.isfinite(ends.duration[video]) else "the last snippet ends at"
    raise SolaError(
        f"video {ends.ids[video]!r}: an instance ends at {seconds(instances.end[first])} s, but {what} "
        f"{seconds(limit[video])} s, and {int(late.sum())} of {int(judged.sum())} instances are as late: {cause}"
    )


def _check_fractions(
    ends: Ends, instances: Instances, limit: Float[np.ndarray, " videos"], judged: Bool[np.ndarray, " n"]
) -> None:
    """Raise SolaError if the times of instances look like fractions of the duration."""
    if judged.sum() < ENOUGH or instances.end[judged].max() > 1.0:
        return
    first = int(np.argmax(judged))
    video = int(instances.owner[first])
    if np.nanmedian(limit) >= FRACTION_BELOW:
        raise SolaError(
            f"video {ends.ids[video]!r}: an instance ends at {seconds(instances.end[first])} s of "
            f"{seconds(limit[video])} s, none ends after 1 s: the times look like fractions of the duration; expected "
            "seconds"
        )


def _unit(ends: Ends, ratio: Float[np.ndarray, " n"]) -> str:
    """Return the unit in which the ends of instances would lie inside, from their ratios to the allowed ends."""
    known = np.concatenate([ends.annotated_fps, ends.fps])
    rates = np.unique(known[np.isfinite(known)]).tolist() or list(FRAME_RATES)
    reach = float(np.quantile(ratio, 1 - (1 - MOST) / 2))
    if np.isfinite(ends.duration).any():
        units = [("frames", rate) for rate in rates if rate > 1] + [("milliseconds", 1e3), ("microseconds", 1e6)]
        for name, size in sorted(units, key=lambda unit: unit[1]):
            if size * PLAUSIBLE < reach <= size * (1 + TOLERANCE):
                at = f" at {size:g} fps" if name == "frames" and len(rates) == 1 else ""
                return f"the times look like {name}{at}; expected seconds"
        return ""
    for name, size in (("milliseconds", 1e3), ("microseconds", 1e6)):
        if size * PLAUSIBLE < reach <= size * (1 + TOLERANCE):
            return f"the times look like {name}; expected seconds"
    fps, stride = float(np.nanmedian(ends.fps)), float(np.nanmedian(ends.stride))
    return f"stride {stride:g} looks too small, or fps {fps:g} too large, or the times are in frames; expected seconds"


def check_last_instances(ends: Ends, instances: Instances) -> list[Finding]:
    """Return the finding that the last instances of videos without duration end far from the end of the features.

    Either most end after it, or none of many videos reaches half of it.
    """
    last = np.full(len(ends.ids), np.nan)
    np.fmax.at(last, instances.owner, instances.end)
    judged = np.isfinite(ends.features) & ~np.isfinite(ends.duration) & (last > 0)
    if not judged.any():
        return []
    after = judged & (last > ends.features + np.fmax(ends.frames / ends.fps, TOLERANCE * ends.features))
    if 2 * after.sum() > judged.sum():
        wrong, sizes = after, ("small", "large")
    elif judged.sum() >= ENOUGH and np.max((last / ends.features)[judged]) < SHORT:
        wrong, sizes = judged, ("large", "small")
    else:
        return []
    first = int(np.argmax(np.where(wrong, last / ends.features, 0.0)))
    example = (
        f"{ends.ids[first]!r} (the last instance ends at {seconds(last[first])} s, the last snippet at "
        f"{seconds(ends.features[first])} s)"
    )
    cause = f"stride {ends.stride[first]:g} looks too {sizes[0]}, or fps {ends.fps[first]:g} too {sizes[1]}"
    return [Finding("timing", int(wrong.sum()), example, cause)]
