"""Plots that the page draws itself, so that they follow its width and its colors: where things lie, in per cent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sola.report.result import Kind

MOST_POINTS = 240
"""Of a line; of longer ones stretches are averaged."""
HUES = 10
"""Colors of lines; the style sheet has them."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    """Per cent of the axis."""
    text: str


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis over some values."""

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def over(cls, values: Sequence[float], *, margin: float = 0.0, logarithmic: bool = False) -> "Axis":
        """The axis that holds all values, widened by a share of their range on either side."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        if logarithmic:
            return cls(max(low, 1e-12), max(high, 2e-12), True)
        if low == high:
            low, high = low - 0.5 * abs(low or 1.0), high + 0.5 * abs(high or 1.0)
        room = margin * (high - low)
        return cls(low - room, high + room)

    def at(self, value: float) -> float:
        """Where a value lies, in per cent of the axis.

        >>> Axis(0.0, 4.0).at(1.0), Axis(1.0, 100.0, True).at(10.0)
        (25.0, 50.0)
        """
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-12))
        return round(100 * (value - low) / (high - low), 2) if high > low else 50.0

    def ticks(self, count: int = 4) -> list[Tick]:
        """Round values along the axis, about `count` of them.

        >>> [tick.text for tick in Axis(0.02, 0.91).ticks()]
        ['.2', '.4', '.6', '.8']
        >>> [tick.text for tick in Axis(1.0, 64.0, True).ticks()]
        ['1', '4', '16', '64']
        """
        if self.logarithmic:
            powers = [
                2.0**n for n in range(math.ceil(math.log2(self.low) - 1e-9), int(math.log2(self.high) + 1e-9) + 1)
            ]
            return [Tick(self.at(value), number(value)) for value in powers[:: max(1, math.ceil(len(powers) / count))]]
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(
            power * factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (power * factor) <= count + 1
        )
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [Tick(self.at(n * step), number(n * step)) for n in range(first, last + 1)]


def number(value: float) -> str:
    """A number as short as it can be read.

    >>> number(0.25), number(-0.5), number(1200.0), number(0.0), number(1e-5)
    ('.25', '−.5', '1200', '0', '1e-05')
    """
    text = f"{value:.4g}"
    if text.startswith("0."):
        text = text[1:]
    elif text.startswith("-0."):
        text = "-" + text[2:]
    return text.replace("-", "−") if "e" not in text else text


@dataclass(frozen=True)
class Dot:
    """A row of a dot plot: mean, one standard deviation over seeds either side, 95 % interval over test videos."""

    name: str
    kind: Kind
    text: str
    """The figures in words."""
    at: float
    deviation: tuple[float, float]
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Dots:
    """Rows of one metric side by side on one axis; all places in per cent of it."""

    title: str
    rows: Sequence[Dot]
    ticks: Sequence[Tick]
    baseline: float | None
    """Where raw features lie, if they are one row."""


@dataclass(frozen=True)
class DotValue:
    """What a row of a dot plot shows, in the unit of the axis."""

    name: str
    kind: Kind
    mean: float
    std: float
    interval: tuple[float, float] | None
    text: str


def dots(title: str, values: Sequence[DotValue]) -> Dots:
    """Lay out the rows on an axis that holds all of them."""
    ends = [v.mean for v in values] + [v.mean - v.std for v in values] + [v.mean + v.std for v in values]
    ends += [end for v in values if v.interval is not None for end in v.interval]
    axis = Axis.over(ends, margin=0.06)
    rows = [
        Dot(
            v.name,
            v.kind,
            v.text,
            axis.at(v.mean),
            (axis.at(v.mean - v.std), axis.at(v.mean + v.std)),
            None if v.interval is None else (axis.at(v.interval[0]), axis.at(v.interval[1])),
        )
        for v in values
    ]
    raw = [row.at for row in rows if row.kind == "raw"]
    return Dots(title, rows, axis.ticks(6), raw[0] if len(raw) == 1 else None)


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    hue: int | None
    """Number of its color; None is gray, for raw features."""
    dashed: bool
    points: str
    """`x,y x,y …` in per cent, y from the top, as SVG has it."""
    last: str
    """Its last value as text."""


@dataclass(frozen=True)
class Chart:
    """Lines over one pair of axes."""

    title: str
    x_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    reference: float | None = None
    """Where a level line lies, in per cent from the bottom."""

    @property
    def described(self) -> str:
        """The chart for those who cannot see it."""
        ends = "; ".join(f"{line.name} ends at {line.last}" for line in self.lines)
        return f"{self.title} against {self.x_label}: {ends}."


def chart(
    title: str,
    x_label: str,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    gray: str | None = None,
    logarithmic: bool = False,
    reference: float | None = None,
) -> Chart:
    """Lay out lines, each x and y; the one called `gray` has no color. Lines without a point are left out."""
    drawn = {name: thinned(*line) for name, line in lines.items() if len(line[0])}
    x_axis = Axis.over([x for xs, _ in drawn.values() for x in xs], logarithmic=logarithmic)
    values = [y for _, ys in drawn.values() for y in ys] + ([] if reference is None else [reference])
    y_axis = Axis.over(values, margin=0.05)
    laid: list[Line] = []
    hue = 0
    for name, (xs, ys) in drawn.items():
        points = " ".join(f"{x_axis.at(x):g},{100 - y_axis.at(y):g}" for x, y in zip(xs, ys, strict=True))
        laid.append(
            Line(name, None if name == gray else hue % HUES, hue >= HUES, points, number(float(f"{ys[-1]:.3g}")))
        )
        hue += name != gray
    return Chart(
        title, x_label, laid, x_axis.ticks(5), y_axis.ticks(), None if reference is None else y_axis.at(reference)
    )


def thinned(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """The line with no more points than a plot can show: stretches of it averaged.

    >>> thinned(range(4), [1, 2, 3, 4])
    ([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0])
    """
    if len(xs) <= MOST_POINTS:
        return [float(x) for x in xs], [float(y) for y in ys]
    return _averaged(np.asarray(xs, np.float64)), _averaged(np.asarray(ys, np.float64))


def _averaged(values: Float[np.ndarray, " points"]) -> list[float]:
    return [float(part.mean()) for part in np.array_split(values, MOST_POINTS)]
