"""Figures: arrays in, matplotlib figures out; nothing here reads, trains or measures."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy import ndarray

from sola.data.segments import Segments

INK, GRAY = "#1a1c23", "#8b90a0"
KINDS = {"raw": "#8b90a0", "control": "#c9a227", "compared": "#2f6fde"}
"""Color of a row by its kind: readable in gray and with red-green blindness."""
PALETTE = ("#2f6fde", "#d1495b", "#2a9d8f", "#c9a227", "#7d5ba6", "#e07a5f", "#4f772d", "#3d5a80", "#9c6644", "#6d6875")

Line = tuple[Num[ndarray, " _"], Num[ndarray, " _"]]
"""x and y of one line."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def similarity_maps(
    maps: Mapping[str, Float[ndarray, "time time"]],
    segments: Segments | None,
    extent: tuple[float, float],
    unit: str,
    classes: Sequence[str],
) -> Figure:
    """Cosine similarity of every snippet with every other, a panel a feature set, annotated segments above each.

    `extent` is where the first snippet begins and the last one ends, in `unit` ("seconds" or "snippets"). Every panel
    has its own range of colors, from the 1st to the 99th percentile off the diagonal: where all is alike, small
    differences are all there is to see.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * len(maps), 4.6))
        grid = figure.subplots(2, len(maps), squeeze=False, height_ratios=[1, 14], sharex="col")
        for column, (name, values) in enumerate(maps.items()):
            band, axes = grid[0, column], grid[1, column]
            low, high = extent
            off_diagonal = values[~np.eye(len(values), dtype=bool)]
            least, most = np.percentile(off_diagonal, [1, 99]) if off_diagonal.size else (-1, 1)
            image = axes.imshow(
                values, cmap="magma", vmin=least, vmax=most, extent=(low, high, high, low), aspect="auto"
            )
            figure.colorbar(image, ax=axes, location="bottom", fraction=0.04, pad=0.02, aspect=40)
            axes.set_xlabel(unit)
            if column == 0:
                axes.set_ylabel(unit)
            _segment_band(band, segments, classes, legend=column == 0)
            band.set_title(name)
    return figure


def similarity_distance(whole: Mapping[str, Line], windows: Mapping[str, Line]) -> Figure:
    """Mean cosine similarity against the distance in snippets, a line a feature set: whole videos, and windows."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.2))
        for axes, curves, title in zip(
            figure.subplots(1, 2, sharey=True), (whole, windows), ("whole videos", "sampled windows"), strict=True
        ):
            for color, (name, (distance, similarity)) in zip(_colors(len(curves)), curves.items(), strict=True):
                axes.plot(distance, similarity, label=name, color=color, linewidth=1.8)
            axes.axhline(0, color=GRAY, linewidth=0.6)
            axes.set_xlabel("temporal distance (snippets)")
            axes.set_title(title)
        figure.axes[0].set_ylabel("mean cosine similarity")
        figure.axes[0].legend()
    return figure


def obedience(shares: Mapping[str, Line]) -> Figure:
    """Share of windows in which near snippets are more alike than far ones, against the window's length."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2))
        axes = figure.subplots()
        for color, (name, (length, share)) in zip(_colors(len(shares)), shares.items(), strict=True):
            axes.plot(length, share, label=name, color=color, marker="o", markersize=4, linewidth=1.8)
        axes.axhline(0.5, color=GRAY, linewidth=0.8, linestyle="--", label="chance")
        if any(len(length) for length, _ in shares.values()):
            axes.set_xscale("log", base=2)
        axes.set_xlabel("window (snippets)")
        axes.set_ylabel("windows that obey")
        axes.legend()
    return figure


def metric_bars(rows: Sequence[Mapping[str, Any]], metric: str, title: str, best_control: str | None) -> Figure:
    """One metric of every row of a probe, as dots with the spread over seeds; the best control is a line across."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.6 + 0.24 * len(rows)))
        axes = figure.subplots()
        for position, row in enumerate(reversed(rows)):
            color = KINDS[row["kind"]]
            value = row[metric]
            axes.errorbar(
                value["mean"],
                position,
                xerr=value["std"],
                fmt="o",
                color=color,
                ecolor=color,
                capsize=3,
                markersize=5,
            )
            if row["name"] == best_control:
                axes.axvline(value["mean"], color=color, linewidth=0.8, linestyle="--", zorder=0)
        axes.set_yticks(range(len(rows)), [row["name"] for row in reversed(rows)])
        for label, row in zip(axes.get_yticklabels(), reversed(rows), strict=True):
            label.set_fontweight("bold" if row["kind"] == "compared" else "normal")
        axes.grid(axis="x", color=GRAY, alpha=0.25)
        axes.set_title(title)
    return figure


def training_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss, gate, spread and effective rank over the epochs of one or several runs."""
    panels = {
        "loss": "loss",
        "gate": "gate",
        "feature_std": "spread of the features (1 = even)",
        "effective_rank": "effective rank",
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 4.6))
        for axes, (key, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
            for color, (name, rows) in zip(_colors(len(runs)), runs.items(), strict=True):
                axes.plot([row["epoch"] for row in rows], [row[key] for row in rows], color=color, label=name)
            axes.set_title(title)
            axes.set_xlabel("epoch")
        figure.axes[0].legend()
    return figure


def png(figure: Figure, dpi: int = 150) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    # no time stamp: the same figure is the same file
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def embedded(figure: Figure) -> str:
    """The figure as the address of an image that is inside the page itself."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()


def _segment_band(axes: Axes, segments: Segments | None, classes: Sequence[str], *, legend: bool) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False)
    if segments is None:
        return
    for start, end, label in zip(segments.start, segments.end, segments.label, strict=True):
        color = PALETTE[label % len(PALETTE)]
        axes.add_patch(Rectangle((start, 0), end - start, 1, color=color, linewidth=0))
    present = sorted(set(segments.label.tolist()))
    names = [Rectangle((0, 0), 1, 1, color=PALETTE[label % len(PALETTE)]) for label in present]
    if legend and present and len(present) <= 6:
        axes.legend(
            names,
            [classes[label] for label in present],
            loc="lower left",
            bbox_to_anchor=(0, 1.9),
            ncols=6,
            fontsize=7,
            handlelength=1,
        )


def _colors(count: int) -> list[str]:
    """Gray for the first line, which is the raw features; then the palette."""
    return [GRAY, *(PALETTE * (1 + count // len(PALETTE)))][:count]
