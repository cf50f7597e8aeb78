"""Timeline of one video: key frames, with the detections below."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sola.data.segments import Segments
from sola.report.plots import GRAY, PALETTE, STYLE

LANES = 8
"""Maximum number of lanes. The classes with the highest scores are shown."""
FILM_HEIGHT = 0.85
"""Height of the key frames (inches)."""
FAINTEST = 0.1
"""Minimum score of a drawn detection, as a fraction of the highest score in the video."""


def timeline(
    name: str,
    duration: float,
    frames: Sequence[UInt8[np.ndarray, "height width 3"]],
    detections: Segments,
    classes: Sequence[str],
) -> Figure:
    """Draw evenly spaced key frames of a video of `duration` seconds, and its detections in one lane per class.

    Darker bars have higher scores. The highest score of each lane is printed.
    """
    best = float(detections.score.max(initial=0.0))
    drawn = detections.take(detections.score >= FAINTEST * best)
    lanes = list(dict.fromkeys(drawn.label[np.argsort(-drawn.score, kind="stable")].tolist()))[:LANES]
    with matplotlib.rc_context(STYLE):
        lanes_height = 0.34 * max(len(lanes), 1)
        figure = Figure(figsize=(11, FILM_HEIGHT + lanes_height + 0.6))
        film, axes = figure.subplots(2, 1, sharex=True, height_ratios=[FILM_HEIGHT, lanes_height])
        _film(film, frames)
        film.set_title(name, loc="left")
        for lane, label in enumerate(lanes):
            _lane(axes, lane, drawn.take(drawn.label == label), best, PALETTE[lane % len(PALETTE)])
        axes.set_yticks(range(len(lanes)), [classes[label] for label in lanes])
        axes.set_ylim(max(len(lanes), 1) - 0.5, -0.5)
        axes.set_xlim(0, duration)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
        axes.spines["left"].set_visible(False)
        axes.tick_params(left=False)
        if not lanes:
            axes.text(0.5, 0.5, "no detections", ha="center", va="center", color=GRAY, transform=axes.transAxes)
    return figure


def clock(seconds: float) -> str:
    """Format a time.

    >>> clock(75.0), clock(3675.4), clock(2.5)
    ('1:15', '1:01:15', '0:02.5')
    """
    whole, rest = divmod(round(seconds * 10), 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{rest}" if rest and whole < 60 else text


def _film(axes: Axes, frames: Sequence[UInt8[np.ndarray, "height width 3"]]) -> None:
    """Draw the key frames side by side."""
    for number, frame in enumerate(frames):
        window = axes.inset_axes((number / len(frames), 0.0, 0.98 / len(frames), 1.0))
        window.imshow(frame)
        window.axis("off")
    axes.axis("off")


def _lane(axes: Axes, lane: int, detections: Segments, best: float, color: str) -> None:
    """Draw the detections of one class, highest scores last and so on top."""
    ordered = detections.take(np.argsort(detections.score, kind="stable"))
    for start, end, score in zip(ordered.start, ordered.end, ordered.score, strict=True):
        strength = score / best if best else 0.0
        axes.barh(lane, end - start, left=start, height=0.62, color=color, alpha=0.08 + 0.8 * strength**2)
    middle = (ordered.start[-1] + ordered.end[-1]) / 2
    axes.text(middle, lane, f"{ordered.score[-1]:.2f}", ha="center", va="center", fontsize=7.5)
