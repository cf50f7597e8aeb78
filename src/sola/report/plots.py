"""Matplotlib figures of arrays and results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sola.data.segments import Segments
from sola.evaluation.detections import DetectionResult, threshold_name
from sola.evaluation.results import Curve, Metric, Row, StudyCurves
from sola.evaluation.similarity import CHANCE, Inspection
from sola.evaluation.similarity import Curve as SimilarityCurve
from sola.evaluation.tables import interval, mean_and_std

INK, GRAY = "#1a1c23", "#8b90a0"
KIND_COLORS = {"raw": "#8b90a0", "control": "#c9a227", "compared": "#2f6fde"}
"""Color by kind of row, distinguishable in grayscale and with red-green color blindness."""
PALETTE = ("#2f6fde", "#d1495b", "#2a9d8f", "#b8901a", "#7d5ba6", "#d9663f", "#4f772d", "#3d5a80", "#9c6644", "#b0528f")
LONGEST_NAME = 34
"""Maximum length (characters) of a row name in a plot."""
MOST_POINTS = 240
"""Maximum number of points of a line; longer lines are averaged."""

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
    "text.parse_math": False,  # names may contain "$"
    "figure.constrained_layout.use": True,
}

TRAINING_PANELS = {
    "loss": "loss",
    "gate": "gate",
    "feature_std": "feature standard deviation (1 = uniform)",
    "effective_rank": "effective rank",
}
"""Panel title by value in the training log."""


@dataclass(frozen=True)
class Panel:
    """A plot with lines."""

    title: str
    x_label: str
    lines: Mapping[str, Curve]
    """x and y values by name; the line "raw" is gray."""
    reference: float | None = None
    """y value of a dashed horizontal line."""
    logarithmic: bool = False
    """Logarithmic x axis with base 2."""

    @property
    def description(self) -> str:
        """Text alternative."""
        ends = "; ".join(f"{name} ends at {ys[-1]:.3g}" for name, (_, ys) in self.lines.items())
        return f"{self.title} against {self.x_label}: {ends}."


def similarity_panels(curves: StudyCurves) -> list[Panel]:
    """Return panels of mean cosine similarity against temporal distance, for whole videos and for windows."""
    titles = {"whole": "cosine similarity, whole videos", "windows": "cosine similarity, sampled windows"}
    drawn = {part: drawn_lines(lines) for part, lines in curves.similarity.items()}
    return [
        Panel(titles.get(part, part), "temporal distance (snippets)", lines) for part, lines in drawn.items() if lines
    ]


def assumption_panels(curves: StudyCurves) -> list[Panel]:
    """Return the panel of the share of windows that satisfy the assumption, against window length; empty if no data."""
    lines = drawn_lines(curves.assumption_share)
    title, x_label = "share of windows satisfying the assumption", "window (snippets); dashed: chance"
    return [Panel(title, x_label, lines, reference=CHANCE, logarithmic=True)] if lines else []


def training_panels(logs: Mapping[str, Sequence[Mapping[str, Any]]], prefix: str = "") -> list[Panel]:
    """Return one panel per logged value, against the epoch."""
    panels = []
    for key, title in TRAINING_PANELS.items():
        points = {name: [(row["epoch"], row[key]) for row in rows if key in row] for name, rows in logs.items()}
        lines = drawn_lines({name: ([x for x, _ in line], [y for _, y in line]) for name, line in points.items()})
        if lines:
            panels.append(Panel(f"{prefix}{title}", "epoch", lines))
    return panels


def study_curves(inspections: Mapping[str, Inspection]) -> StudyCurves:
    """Return the curves of inspected feature sets."""

    def lines(part: Callable[[Inspection], SimilarityCurve]) -> dict[str, Curve]:
        curves = {name: part(inspection) for name, inspection in inspections.items()}
        return {name: (curve.distance.tolist(), curve.similarity.tolist()) for name, curve in curves.items()}

    shares = {name: inspection.assumption for name, inspection in inspections.items()}
    return StudyCurves(
        similarity={"whole": lines(lambda result: result.whole), "windows": lines(lambda result: result.windows)},
        assumption_share={name: (share.length.tolist(), share.share.tolist()) for name, share in shares.items()},
    )


def drawn_lines(lines: Mapping[str, Curve]) -> dict[str, Curve]:
    """Return the non-empty lines, averaged to at most `MOST_POINTS` points each."""
    return {name: (_averaged(xs), _averaged(ys)) for name, (xs, ys) in lines.items() if len(xs)}


def _averaged(values: Sequence[float]) -> list[float]:
    """Return the values, averaged over neighbors to at most `MOST_POINTS`."""
    if len(values) <= MOST_POINTS:
        return [float(value) for value in values]
    return [float(part.mean()) for part in np.array_split(np.asarray(values, np.float64), MOST_POINTS)]


def curve_plot(panels: Sequence[Panel], columns: int = 2) -> Figure:
    """Plot panels on a grid, with one legend below."""
    columns = max(1, min(columns, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    legend_columns = columns * (1 if max(map(len, names), default=0) > 20 else 2)
    legend_rows = -(-len(names) // legend_columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * columns, 2.5 * rows + 0.2 * legend_rows + 0.1))
        styles = _line_styles(names)
        handles: dict[str, Any] = {}
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for panel, axes in zip(panels, grid, strict=False):
            for name, (xs, ys) in panel.lines.items():
                marker = "o" if len(xs) < 10 else None
                handles[name] = axes.plot(xs, ys, linewidth=1.6, marker=marker, markersize=3, **styles[name])[0]
            if panel.reference is not None:
                axes.axhline(panel.reference, color=GRAY, linewidth=0.8, linestyle="--")
            if panel.logarithmic:
                axes.set_xscale("log", base=2)
                axes.xaxis.set_major_formatter("{x:g}")
            else:
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.grid(color=GRAY, alpha=0.2, linewidth=0.6)
            axes.set_title(panel.title)
            axes.set_xlabel(panel.x_label)
        for axes in grid:  # unused grid cells
            axes.set_axis_off()
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=legend_columns)
    return figure


def _line_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return gray for raw features, else palette colors; the second pass through the palette is dashed."""
    styles: dict[str, dict[str, Any]] = {"raw": {"color": GRAY}}
    for number, name in enumerate(name for name in names if name != "raw"):
        dash = "-" if number < len(PALETTE) else "--"
        styles[name] = {"color": PALETTE[number % len(PALETTE)], "linestyle": dash}
    return styles


def error_bar_plot(rows: Sequence[Row], metric: Metric, best_control: str | None = None) -> Figure:
    """Plot one metric of all rows: mean, standard deviation over seeds, confidence interval over test videos.

    Dashed lines across all rows mark the best control and, if there is only one such row, raw features.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 0.6 + 0.36 * max(1, len(rows))))
        axes = figure.subplots()
        raw = [row.name for row in rows if row.kind == "raw"]
        references = {best_control, raw[0] if len(raw) == 1 else None}
        label: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "va": "center", "annotation_clip": False}
        for position, row in enumerate(rows):
            summary, color = row.summaries[metric.key], KIND_COLORS[row.kind]
            mean, std = 100 * summary.mean, 100 * summary.std
            if summary.interval is not None:
                low, high = (100 * end for end in summary.interval)
                axes.errorbar(mean, position, xerr=[[mean - low], [high - mean]], color=color, capsize=3, linewidth=1)
            axes.plot([mean - std, mean + std], [position, position], color=color, linewidth=4, alpha=0.55)
            axes.plot(mean, position, marker="o", color=color, markersize=5.5)
            if row.name in references:
                axes.axvline(mean, color=color, linewidth=0.8, linestyle="--", zorder=0)
            weight = "bold" if row.kind == "compared" else "normal"
            name = row.name if len(row.name) <= LONGEST_NAME else row.name[: LONGEST_NAME - 1] + "…"
            axes.annotate(name, (0, position - 0.48), fontweight=weight, **label)
            text = f"{mean_and_std(summary)} {interval(summary.interval)}".strip()
            axes.annotate(text, (1, position - 0.48), ha="right", fontsize=8, **label)
        axes.set_ylim(len(rows) - 0.6, -0.8)
        axes.margins(x=0.06)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=GRAY, alpha=0.25, linewidth=0.6)
        axes.set_xlabel(f"{metric.title}, %")
    return figure


def similarity_map_plot(
    maps: Mapping[str, Float[np.ndarray, "time time"]],
    segments: Segments | None,
    extent: tuple[float, float],
    unit: str,
    classes: Sequence[str],
) -> Figure:
    """Plot cosine similarity maps, one panel per feature set, with the annotated segments above.

    `extent` is the start of the first and the end of the last snippet, in `unit` ("seconds" or "snippets"). The color
    scale of each panel covers the 1st to the 99th percentile off the diagonal.
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
    if legend and 0 < len(present) <= 6:
        handles = [Rectangle((0, 0), 1, 1, color=PALETTE[label % len(PALETTE)]) for label in present]
        names, place = [classes[label] for label in present], (0, 1.9)
        axes.legend(handles, names, loc="lower left", bbox_to_anchor=place, ncols=6, fontsize=7, handlelength=1)


def diagnosis_plot(result: DetectionResult) -> Figure:
    """Plot the share of each error type and the average mAP by instance length, both in percent.

    Raises ValueError if the result has no diagnosis.
    """
    diagnosis = result.diagnosis
    if diagnosis is None:
        raise ValueError("the result has no diagnosis; evaluate with diagnosed=True")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.2))
        errors, lengths = figure.subplots(1, 2)
        kinds = list(diagnosis.share)
        shares = [100 * share for share in diagnosis.share.values()]
        bars = errors.barh(kinds, shares, color=PALETTE[: len(kinds)])
        texts = [f"{share:.0f} %  ({diagnosis.count[kind]})" for kind, share in zip(kinds, shares, strict=True)]
        errors.bar_label(bars, texts, padding=3)
        errors.invert_yaxis()
        errors.set_xlim(0, max(1.0, *shares) * 1.35)
        errors.set_xlabel("share of the error, % (count)")
        errors.set_title(f"at tIoU {threshold_name(diagnosis.tiou)}, mAP {100 * diagnosis.mean_ap:.1f} %")

        ranges = [f"> {part.low:g}" if part.high == float("inf") else f"≤ {part.high:g}" for part in result.lengths]
        names = [
            f"{part.name}\n{text} s\n({part.instances})" for part, text in zip(result.lengths, ranges, strict=True)
        ]
        lengths.bar(names, [100 * (part.mean or 0.0) for part in result.lengths], color=PALETTE[0])
        lengths.axhline(100 * result.average_precision.mean, color=GRAY, linestyle="--", linewidth=1)
        lengths.set_ylabel("average mAP, %")
        lengths.set_xlabel("instance length (number of instances)")
        lengths.set_title(f"dashed: all instances, {100 * result.average_precision.mean:.1f} %")
    return figure
