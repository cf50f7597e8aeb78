"""The picture of one video: key frames along its time, and below them what was found when."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sola.core.files import replacing
from sola.data.segments import Segments
from sola.report.plots import GRAY, PALETTE, STYLE

LANES = 8
"""Classes that are shown: those of the best detections."""

FILM_HEIGHT = 0.85
"""Inches."""

FAINTEST = 0.1
"""Detections below this share of the video's best score are not drawn."""


def timeline(
    name: str,
    duration: float,
    frames: Sequence[UInt8[np.ndarray, "height width 3"]],
    detections: Segments,
    classes: Sequence[str],
) -> Figure:
    """Draw a video of `duration` seconds: `frames`, evenly spread, and the detections, a lane a class.

    The darker a bar, the higher its score; the best of each lane says its score. What hardly scores is left out.
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
            axes.text(0.5, 0.5, "nothing found", ha="center", va="center", color=GRAY, transform=axes.transAxes)
    return figure


def clock(seconds: float) -> str:
    """Return a time as people read it.

    >>> clock(75.0), clock(3675.4), clock(2.5)
    ('1:15', '1:01:15', '0:02.5')
    """
    whole, rest = divmod(round(seconds * 10), 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{rest}" if rest and whole < 60 else text


def write_timeline(
    path: Path,
    name: str,
    duration: float,
    frames: Sequence[UInt8[np.ndarray, "height width 3"]],
    detections: Segments,
    classes: Sequence[str],
) -> None:
    """Write the picture as a PNG, whole or not at all; see `timeline`."""
    figure = timeline(name, duration, frames, detections, classes)
    with replacing(path) as aside:
        figure.savefig(aside, format="png", dpi=120)


def _film(axes: Axes, frames: Sequence[UInt8[np.ndarray, "height width 3"]]) -> None:
    """Key frames side by side, each in the middle of its own stretch of time, in its own proportions."""
    for number, frame in enumerate(frames):
        window = axes.inset_axes((number / len(frames), 0.0, 0.98 / len(frames), 1.0))
        window.imshow(frame)
        window.axis("off")
    axes.axis("off")


def _lane(axes: Axes, lane: int, detections: Segments, best: float, color: str) -> None:
    """The detections of one class, weak ones first so that strong ones lie on top."""
    order = np.argsort(detections.score, kind="stable")
    for start, end, score in zip(
        detections.start[order].tolist(), detections.end[order].tolist(), detections.score[order].tolist(), strict=True
    ):
        strength = score / best if best else 0.0
        axes.barh(lane, end - start, left=start, height=0.62, color=color, alpha=0.08 + 0.8 * strength**2)
    top = order[-1]
    middle = (detections.start[top] + detections.end[top]) / 2
    axes.text(middle, lane, f"{detections.score[top]:.2f}", ha="center", va="center", fontsize=7.5)
