"""Comparison of the times of instances with the ends of their videos and features, to recognize another unit."""

import numpy as np
from jaxtyping import Bool, Float

from sola.core.errors import SolaError
from sola.data.findings import TOLERANCE, Finding, seconds
from sola.data.segments import SegmentTable
from sola.data.time_checks import ENOUGH, MOST, SNIPPETS, Ends

FRAME_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
"""Usual frame rates, in frames per second, to recognize times in frames."""
SHORT = 0.5
"""Largest share of the features at which the last instance of all videos is suspicious."""
PLAUSIBLE = 0.4
"""Share of a video that nearly all of its last instances exceed: a larger unit for the times is no explanation."""
EARLY = 0.1
"""Largest share of the duration at which the last instance of all videos is suspicious."""


def check_instances(ends: Ends, instances: SegmentTable, outside: Bool[np.ndarray, " n"]) -> None:
    """Raise SolaError if most instances lie after the end of their video, and their times look like another unit.

    `outside` marks instances that leave the video or, where its duration is unknown, the features.
    """
    limit = np.where(np.isfinite(ends.duration), ends.duration, ends.features)
    judged = np.isfinite(limit[instances.video])
    if not judged.any():
        return
    late = judged & outside & (instances.end > limit[instances.video])
    within = judged & (instances.end <= ends.features[instances.video] * (1 + TOLERANCE))
    if 2 * late.sum() <= judged.sum() or 2 * within.sum() > judged.sum():
        return  # if the features are as long as the times say, the durations are wrong
    if np.mean(instances.start[judged] > limit[instances.video][judged]) >= MOST and _far_from_start(instances, limit):
        return  # the clock of a longer recording: no unit brings these times into their videos
    ratio = instances.end[judged] / limit[instances.video][judged]
    cause = _unit(ends, ratio)
    if not cause:
        return
    first = int(np.argmax(late))
    video = int(instances.video[first])
    what = "the video lasts" if np.isfinite(ends.duration[video]) else "the last snippet ends at"
    raise SolaError(
        f"video {ends.ids[video]!r}: an instance ends at {seconds(instances.end[first])} s, but {what} "
        f"{seconds(limit[video])} s, and {int(late.sum())} of {int(judged.sum())} instances are as late: {cause}"
    )


def _far_from_start(instances: SegmentTable, limit: Float[np.ndarray, " videos"]) -> bool:
    """Whether the times of most videos span no more than the video, but begin far after its end."""
    alone = [instances.video == video for video in np.unique(instances.video)]
    spans = [
        instances.end[own].max() - instances.start[own].min() <= limit[instances.video[own][0]] * (1 + TOLERANCE)
        for own in alone
    ]
    return bool(np.mean(spans) >= MOST)


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


def check_last_instances(ends: Ends, instances: SegmentTable) -> list[Finding]:
    """Return the finding that the last instances of videos end far from the end of the video or of the features.

    None of many videos reaches a tenth of its duration; or, without durations, most end after the features, or none
    of many reaches half of these.
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
    judged = np.isfinite(ends.features) & ~np.isfinite(ends.duration) & (last > 0)
    if not judged.any():
        return []
    frames = np.maximum(SNIPPETS * ends.stride, ends.window)
    after = judged & (last > ends.features + np.fmax(frames / ends.fps, TOLERANCE * ends.features))
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
