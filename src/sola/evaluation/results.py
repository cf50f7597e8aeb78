"""Results as records: rows with summaries over seeds, paired comparisons, and the file that a study writes."""

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
"""Kinds of rows, in the order of a table."""
Curve = tuple[list[float], list[float]]
"""x and y of one line."""


class Metric(msgspec.Struct, frozen=True):
    """A column of a table: a fraction; more is better."""

    key: str
    title: str


class Row(msgspec.Struct, frozen=True):
    """One feature set, measured on the test videos."""

    name: str
    kind: Kind
    summaries: dict[str, Summary]
    """Summary over the seeds, by the metric's key."""
    group: str = ""
    """Detector that was trained on the features; rows are compared within their group."""
    published: dict[str, float] | None = None
    """Figures that the paper reports for this row, as fractions by the metric's key."""
    comparable: bool = False
    """Whether the data are the paper's."""
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
        """Mean over the seeds."""
        return self.summaries[metric].mean


class Comparison(msgspec.Struct, frozen=True):
    """One metric of a row minus that of another row, paired over the test videos."""

    row: str
    against: str
    metric: str
    difference: float
    """Fraction; positive if `row` is better."""
    interval: tuple[float, float]
    """95 % bootstrap interval over the test videos."""
    p: float
    p_corrected: float
    """p-value after Holm's correction within the family."""
    significant: bool
    """Whether `p_corrected` is below .05."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, and the comparisons between them."""

    metrics: tuple[Metric, ...] = ()
    rows: tuple[Row, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    def row(self, name: str) -> Row:
        """Return the row of this name."""
        return next(row for row in self.rows if row.name == name)

    def group(self, name: str) -> list[Row]:
        """Rows of one group."""
        return [row for row in self.rows if row.group == name]

    def ordered(self) -> list[Row]:
        """Rows in the order raw, controls, compared."""
        return sorted(self.rows, key=lambda row: KINDS.index(row.kind))

    def best_control(self, metric: str, group: str = "") -> str | None:
        """Control of a group with the highest mean; None if no control has the metric."""
        controls = [row for row in self.group(group) if row.kind == "control" and metric in row.summaries]
        return max(controls, key=lambda row: row.mean(metric)).name if controls else None

    def comparison(self, row: str, against: str | None, metric: str) -> Comparison | None:
        """Comparison of two rows in one metric; None if they were not compared."""
        wanted = (row, against, metric)
        return next((one for one in self.comparisons if (one.row, one.against, one.metric) == wanted), None)


class StudyCurves(msgspec.Struct, frozen=True):
    """Section C: lines by the name of the feature set."""

    similarity: dict[str, dict[str, Curve]] = {}
    """Mean cosine similarity against the distance in snippets, for "whole" videos and for "windows"."""
    assumption_share: dict[str, Curve] = {}
    """Share of windows that satisfy the assumption, against their length in snippets."""


class StudyResult(Results, frozen=True, kw_only=True):
    """The `result.json` of a study: one table or figure of the paper's supplement, on one data set."""

    experiment: str
    title: str
    lead: str
    data: DataSource
    seeds: int = 1
    quick: bool = False
    """Whether trainings were shortened, so that the figures mean nothing."""
    notes: tuple[str, ...] = ()
    curves: StudyCurves | None = None
    linear: dict[str, Any] | None = None
    """Linear evaluation of the same features, as `sola probe --json` prints it."""
    stability: bool = False
    """Whether the spread and effective rank during training are part of the result."""

    def write(self, path: Path) -> None:
        """Write JSON, atomically."""
        write_json(path, msgspec.to_builtins(self, enc_hook=encode_path))


def read_result(path: Path) -> StudyResult:
    """Read a study's `result.json`; raises SolaError that names the file and the value at fault."""
    try:
        return msgspec.json.decode(utf8(path.read_bytes()), type=StudyResult, dec_hook=decode_path)
    except OSError as error:
        raise SolaError(f"{path}: cannot be read as an experiment's result ({error.strerror or error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SolaError(f"{path}: not an experiment's result ({error}); run `sola reproduce` again") from None


def compare_rows(rows: Sequence[tuple[str, Kind, Resampled]], metric: str, units: int) -> tuple[Comparison, ...]:
    """Compare rows in one metric: controls and compared rows with raw, compared rows with every control.

    `rows` are (name, kind, estimate with bootstrap replicates), `units` is the number of test videos. The families of
    Holm's correction are the controls against raw, the compared rows against raw, and each compared row against all
    controls. So a comparison with raw does not depend on the number of controls.
    """
    raw, controls, compared = ([(name, sample) for name, of, sample in rows if of == kind] for kind in KINDS)
    families = [[(row, other) for row in kind for other in raw] for kind in (controls, compared)]
    families += [[(row, control) for control in controls] for row in compared]
    comparisons = []
    for family in families:
        differences = compare_family([(one[1], other[1]) for one, other in family], units)
        for ((row, _), (against, _)), (found, p) in zip(family, differences, strict=True):
            interval = found.low, found.high
            comparisons.append(Comparison(row, against, metric, found.estimate, interval, found.p, p, p < LEVEL))
    return tuple(comparisons)
