"""Describe how a detector converts a video from frames to seconds to units, and back."""

from sola.data.dataset_video import Video
from sola.detectors.clips import Clipping

SHOWN = 5
"""Maximum number of instances to describe."""


def explain(video: Video, clipping: Clipping) -> str:
    """Describe the times of the snippets of a video, its clips, and its first instances in units.

    Raises:
        SolaError: if the timing of the snippets is unknown.
    """
    snippets, grid = video.length, video.grid
    starts = clipping.starts(snippets)
    units = clipping.units(snippets)
    first = clipping.placement(starts[0], snippets, grid)
    known = "unknown" if video.duration is None else f"{video.duration:.3f} s"
    lines = [
        f"video {video.id}: {snippets} snippets, duration {known}",
        f"snippet i: {grid.window:g} frames from frame {grid.offset:g} + i·{grid.stride:g} on, at {grid.fps:g} fps; "
        f"its center is at (i·{grid.stride:g} + {grid.offset + grid.window / 2:g})/{grid.fps:g} s",
        f"snippets cover {grid.edge(0):.3f} s to {grid.edge(snippets):.3f} s",
        f"{len(starts)} clip{'s' if len(starts) > 1 else ''} of {clipping.window_size or snippets} snippets in "
        f"{units} units; unit u of the first is at {first.origin:.3f} s + u·{first.unit:.6f} s",
    ]
    segments = video.segments
    for start, end in list(zip(segments.start, segments.end, strict=True))[:SHOWN]:
        low, high = first.units(float(start)), first.units(float(end))
        lines.append(
            f"{start:.3f} s to {end:.3f} s: units {low:.3f} to {high:.3f} of the first clip, "
            f"back {first.seconds(low):.3f} s to {first.seconds(high):.3f} s"
        )
    if len(segments) > SHOWN:
        lines.append(f"and {len(segments) - SHOWN} more")
    return "\n".join(lines)
