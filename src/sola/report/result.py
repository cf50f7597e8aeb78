"""What an experiment found: its `result.json` as typed records."""

from pathlib import Path
from typing import Literal

import msgspec

from sola.core.errors import SolaError

RESULT = "result.json"

Kind = Literal["raw", "control", "compared"]
Pair = tuple[list[float], list[float]]
"""x and y of one line."""


class Metric(msgspec.Struct, frozen=True):
    """What is measured; more is better."""

    key: str
    title: str
    percent: bool = True
    """Whether the fraction is shown in per cent."""


class Measured(msgspec.Struct, frozen=True):
    """One metric of one row over the seeds, as a fraction."""

    mean: float
    std: float
    """Sample standard deviation over the seeds; 0 with one."""
    values: list[float]
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval over the test videos, of the mean over the seeds."""


class Row(msgspec.Struct, frozen=True):
    """One way to make features, measured."""

    name: str
    kind: Kind
    figures: dict[str, Measured | None]
    """By the metric's key."""
    published: dict[str, float | None] | None = None
    """What the paper reports for this row, as fractions."""
    comparable: bool = False
    """Whether the data are the paper's."""
    features: list[str] = []
    """Of each seed: folders relative to the experiment's OUT, or absolute."""
    modules: list[str] = []
    heads: list[str] = []
    group: str = ""
    """Rows are compared with those of their own group: the head."""

    @property
    def base(self) -> str:
        """What the row is about, whatever head stands on it."""
        return self.name.removeprefix(f"{self.group}: ")


class Comparison(msgspec.Struct, frozen=True):
    """A row against another one on the same test videos."""

    row: str
    against: str
    metric: str
    difference: float
    """A fraction; positive where `row` is better."""
    significant: bool
    interval: tuple[float, float] | None = None
    p: float | None = None
    p_corrected: float | None = None


class Data(msgspec.Struct, frozen=True):
    """What was measured on."""

    features: list[str]
    """Absolute paths; several are joined on channels."""
    annotations: str
    train_subset: str = "training"
    test_subset: str = "validation"
    label_key: str = "label"
    channels_first: bool = False
    """Of the files in `features`."""
    skip_bad: bool = False
    id_prefix: str | None = None
    timing: dict[Literal["fps", "stride", "window", "offset"], float] = {}
    """What manifests lack: fps, stride, window, offset."""


class Curves(msgspec.Struct, frozen=True):
    """Section C: lines by the features' name."""

    similarity: dict[str, dict[str, Pair]] = {}
    """Mean cosine similarity against the distance in snippets: "whole" videos, and "windows"."""
    obedience: dict[str, Pair] = {}
    """Share of windows that obey the assumption, against their length in snippets."""


class Result(msgspec.Struct, frozen=True):
    """All that an experiment found."""

    experiment: str
    title: str
    lead: str
    data: Data
    seeds: int = 1
    quick: bool = False
    """A rehearsal with shortened trainings: its figures are no result."""
    metrics: list[Metric] = []
    rows: list[Row] = []
    comparisons: list[Comparison] = []
    notes: list[str] = []
    curves: Curves | None = None

    def ordered(self) -> list[Row]:
        """The rows: raw, then the controls, then what is compared."""
        place = {"raw": 0, "control": 1, "compared": 2}
        return sorted(self.rows, key=lambda row: place[row.kind])


def read_result(path: Path) -> Result:
    """Read an experiment's `result.json`; SolaError naming the file and the value at fault."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise SolaError(f"{path}: cannot be read as an experiment's result ({error.strerror or error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SolaError(f"{path}: not an experiment's result ({error}); run `sola reproduce` again") from None
