"""Compare instance times with the ends of videos and features, to detect times in a wrong unit."""

import numpy as np
from jaxtyping import Bool, Float

from sola.core.errors import SolaError
from sola.data.findings import TOLERANCE, Finding, seconds
from sola.data.segments import SegmentTable
from sola.data.time_checks import ENOUGH, MOST, SNIPPETS, Ends

FRAME_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
"""Common frame rates (frames per second), to detect times in frames."""
SHORT = 0.5
"""If no video's last instance ends after this fraction of its features, the times are suspicious."""
PLAUSIBLE = 0.4
"""Fraction of the video that the latest instances must exceed for a unit to explain the times."""
EARLY = 0.1
"""If no video's last instance ends after this fraction of its duration, the times are suspicious."""


def check_instances(ends: Ends, instances: SegmentTable, outside: Bool[np.ndarray, " n"]) -> None:
    """Raise SolaError if most instances are after the end of their video and another unit explains their times.

    `outside` marks instances outside the video or, if its duration is unknown, outside the features.
    """
    limit = np.where(np.isfinite(ends.duration), ends.duration, ends.features)
    checked = np.isfinite(limit[instances.video])
    if not checked.any():
        return
    late = checked & outside & (instances.end > limit[instances.video])
    within = checked & (instances.end <= ends.features[instances.video] * (1 + TOLERANCE))
    if 2 * late.sum() <= checked.sum() or 2 * within.sum() > checked.sum():
        return  # the features agree with the times, so the durations are wrong
    if np.mean(instances.start[checked] > limit[instances.video][checked]) >= MOST and _far_from_start(
        instances, limit
    ):
        return  # times of a longer recording: no unit moves them into their videos
    ratio = instances.end[checked] / limit[instances.video][checked]
    cause = _unit(ends, ratio)
    if not cause:
        return
    first = int(np.argmax(late))
    video = int(instances.video[first])
    limit_name = "the video lasts" if np.isfinite(ends.duration[video]) else "the last snippet ends at"
    raise SolaError(
        f"video {ends.ids[video]!r}: an instance ends at {seconds(instances.end[first])} s, but {limit_name} "
        f"{seconds(limit[video])} s, and {int(late.sum())} of {int(checked.sum())} instances are too late: {cause}"
    )


def _far_from_start(instances: SegmentTable, limit: Float[np.ndarray, " videos"]) -> bool:
    """Return True if the instances of most videos cover no more time than the video but start far after its end."""
    masks = [instances.video == video for video in np.unique(instances.video)]
    fits = [
        instances.end[mask].max() - instances.start[mask].min() <= limit[instances.video[mask][0]] * (1 + TOLERANCE)
        for mask in masks
    ]
    return bool(np.mean(fits) >= MOST)


def _unit(ends: Ends, ratio: Float[np.ndarray, " n"]) -> str:
    """Return a message with the unit that would move the instances inside, given ratios of their ends to the limits."""
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


def check_last_instances(ends: Ends, instances: SegmentTable) -> list[Finding]:
    """Return a finding if the last instances of videos end far from the end of the video or of the features.

    With durations: in none of many videos do instances reach a tenth of the duration. Without durations: instances of
    most videos end after the features, or in none of many videos do they reach half of the features.
    """
    last = np.full(len(ends.ids), np.nan)
    np.fmax.at(last, instances.video, instances.end)
    known = np.isfinite(ends.duration) & (last > 0)
    if known.sum() >= ENOUGH and (last / ends.duration)[known].max() <= EARLY:
        first = int(np.argmax(np.where(known, last / ends.duration, 0.0)))
        reached = f"{seconds(last[first])} s of {seconds(ends.duration[first])} s"
        example = f"{ends.ids[first]!r} (the last instance ends at {reached})"
        cause = (
            "no instance of any video ends later, so the times look like fractions, minutes or snippets, not seconds"
        )
        return [Finding("timing", int(known.sum()), example, cause)]
    checked = np.isfinite(ends.features) & ~np.isfinite(ends.duration) & (last > 0)
    if not checked.any():
        return []
    frames = np.maximum(SNIPPETS * ends.stride, ends.window)
    after = checked & (last > ends.features + np.fmax(frames / ends.fps, TOLERANCE * ends.features))
    if 2 * after.sum() > checked.sum():
        wrong, sizes = after, ("small", "large")
    elif checked.sum() >= ENOUGH and np.max((last / ends.features)[checked]) < SHORT:
        wrong, sizes = checked, ("large", "small")
    else:
        return []
    first = int(np.argmax(np.where(wrong, last / ends.features, 0.0)))
    example = (
        f"{ends.ids[first]!r} (the last instance ends at {seconds(last[first])} s, the last snippet at "
        f"{seconds(ends.features[first])} s)"
    )
    cause = f"stride {ends.stride[first]:g} looks too {sizes[0]}, or fps {ends.fps[first]:g} too {sizes[1]}"
    return [Finding("timing", int(wrong.sum()), example, cause)]
