"""Result records: rows with summaries over seeds, paired comparisons, and the result file of a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from sola.core.errors import SolaError
from sola.core.files import utf8, write_json
from sola.data.source import DataSource, decode_path, encode_path
from sola.evaluation.statistics import LEVEL, Resampled, Summary, compare_family

RESULT = "result.json"

Kind = Literal["raw", "control", "compared"]
KINDS: tuple[Kind, ...] = ("raw", "control", "compared")
"""Kinds of rows, in table order."""
Curve = tuple[list[float], list[float]]
"""x and y values of a line."""


class Metric(msgspec.Struct, frozen=True):
    """A metric, which is a fraction; higher is better."""

    key: str
    title: str


class Row(msgspec.Struct, frozen=True):
    """Metrics of one feature set on the test videos."""

    name: str
    kind: Kind
    summaries: dict[str, Summary]
    """Summary over seeds, by metric key."""
    group: str = ""
    """Detector trained on the features. Only rows of the same group are compared."""
    published: dict[str, float] | None = None
    """Values published for this row, as fractions by metric key."""
    comparable: bool = False
    """True if the data are comparable with those of the published values."""
    features: tuple[str, ...] = ()
    """Feature folders, one per seed, relative to the study's folder or absolute."""
    modules: tuple[str, ...] = ()
    """Run folders of the modules, one per seed."""
    detectors: tuple[str, ...] = ()
    """Run folders of the detectors, one per seed."""

    @property
    def base(self) -> str:
        """Name of the feature set, without the detector."""
        return self.name.removeprefix(f"{self.group}: ")

    def mean(self, metric: str) -> float:
        """Return the mean over seeds."""
        return self.summaries[metric].mean


class Comparison(msgspec.Struct, frozen=True):
    """Difference of two rows in one metric, paired over test videos."""

    row: str
    against: str
    metric: str
    difference: float
    """Difference as a fraction; positive if `row` is better than `against`."""
    interval: tuple[float, float]
    """95 % bootstrap confidence interval over test videos."""
    p: float
    p_corrected: float
    """p-value after Holm's correction within the family."""
    significant: bool
    """True if `p_corrected` is below .05."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Rows and comparisons between them."""

    metrics: tuple[Metric, ...] = ()
    rows: tuple[Row, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    def row(self, name: str) -> Row:
        """Return the row with this name."""
        return next(row for row in self.rows if row.name == name)

    def group(self, name: str) -> list[Row]:
        """Return the rows of a group."""
        return [row for row in self.rows if row.group == name]

    def ordered(self) -> list[Row]:
        """Return the rows in the order raw, controls, compared."""
        return sorted(self.rows, key=lambda row: KINDS.index(row.kind))

    def best_control(self, metric: str, group: str = "") -> str | None:
        """Return the control of a group with the highest mean, or None if no control has the metric."""
        controls = [row for row in self.group(group) if row.kind == "control" and metric in row.summaries]
        return max(controls, key=lambda row: row.mean(metric)).name if controls else None

    def comparison(self, row: str, against: str | None, metric: str) -> Comparison | None:
        """Return the comparison of two rows in one metric, or None if they were not compared."""
        key = (row, against, metric)
        return next((c for c in self.comparisons if (c.row, c.against, c.metric) == key), None)


class StudyCurves(msgspec.Struct, frozen=True):
    """Curves of section C by feature set."""

    similarity: dict[str, dict[str, Curve]] = {}
    """Mean cosine similarity against temporal distance (snippets), for "whole" videos and for "windows"."""
    assumption_share: dict[str, Curve] = {}
    """Share of windows that satisfy the assumption, against window length (snippets)."""


class StudyResult(Results, frozen=True, kw_only=True):
    """Content of a study's `result.json`: one table or figure of the paper's supplement on one data set."""

    experiment: str
    title: str
    lead: str
    data: DataSource
    seeds: int = 1
    quick: bool = False
    """True if training was shortened, so the values are meaningless."""
    notes: tuple[str, ...] = ()
    curves: StudyCurves | None = None
    linear: dict[str, Any] | None = None
    """Linear evaluation of the same features, in the format of `sola probe --json`."""
    stability: bool = False
    """True if the standard deviation and effective rank during training are part of the result."""

    def write(self, path: Path) -> None:
        """Write as JSON atomically."""
        write_json(path, msgspec.to_builtins(self, enc_hook=encode_path))


def read_result(path: Path) -> StudyResult:
    """Read a study's `result.json`. Raises SolaError if it is invalid."""
    try:
        return msgspec.json.decode(utf8(path.read_bytes()), type=StudyResult, dec_hook=decode_path)
    except OSError as error:
        raise SolaError(f"{path}: cannot be read as an experiment's result ({error.strerror or error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SolaError(f"{path}: not an experiment's result ({error}); run `sola reproduce` again") from None


def compare_rows(rows: Sequence[tuple[str, Kind, Resampled]], metric: str, units: int) -> tuple[Comparison, ...]:
    """Compare rows in one metric: controls and compared rows with raw, and compared rows with every control.

    `rows` are (name, kind, estimate with bootstrap replicates); `units` is the number of resampled test videos or
    groups of videos. The families of Holm's correction are the controls against raw, the compared rows against raw,
    and each compared row against all controls. So comparisons with raw do not depend on the number of controls.
    """
    raw, controls, compared = ([(name, sample) for name, kind, sample in rows if kind == each] for each in KINDS)
    families = [[(row, other) for row in kind for other in raw] for kind in (controls, compared)]
    families += [[(row, control) for control in controls] for row in compared]
    comparisons = []
    for family in families:
        differences = compare_family([(row[1], other[1]) for row, other in family], units)
        for ((row, _), (against, _)), (test, p) in zip(family, differences, strict=True):
            interval = test.low, test.high
            comparisons.append(Comparison(row, against, metric, test.estimate, interval, test.p, p, p < LEVEL))
    return tuple(comparisons)
