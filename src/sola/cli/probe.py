"""`sola probe`."""

import dataclasses
import json
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.markup import escape
from tyro.conf import UseAppendAction, arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Features, Reading, ReadingFlags, Timing, TimingFlags, report_skipped
from sola.core.errors import SolaError
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.evaluation.probe import probe

WIDTH = 150
"""Columns of a terminal that the table needs."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """Linear evaluation: how well a linear classifier on frozen snippets tells action from background, and classes.

    FEATURES stand beside every set given with --compare and beside the controls: per-video centering, moving averages,
    slow features, whitening, and the untrained module. Trained on one subset, measured on another; p-values are from
    a paired bootstrap over the test videos.
    """

    features: Features
    """The raw features: a folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    annotations: Annotated[Path, arg(metavar="JSON")]
    """ActivityNet's layout, which HACS and THUMOS14 share."""
    compare: Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="NAME=DIR ...")] = ()
    """Other features of the same videos, one or several; a name given again adds a seed to its row."""
    solver: Literal["sgd", "ridge"] = "sgd"
    """sgd: Table 4b (100 epochs); ridge: closed form, its penalty cross-validated over training videos."""
    videos: int | None = None
    """Labels of that many training videos only, drawn anew for each seed."""
    seeds: int = 3
    """Repetitions: the classifier's start and order, the labeled videos, the untrained modules."""
    train_subset: str = "training"
    """Whose labels the classifier sees."""
    test_subset: str = "validation"
    """On whose videos it is measured."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun)."""
    json: bool = False
    """Print JSON on stdout instead of a table."""
    quiet: bool = False
    """No progress bar."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Probe, "probe", arguments)
    annotations = read_annotations(options.annotations, options.label_key)
    data = Dataset.open(
        options.reading.open(options.features),
        annotations,
        id_prefix=options.reading.id_prefix,
        timing=options.timing.given(),
    )
    compare: dict[str, list[FeatureSet]] = {}
    for name, folder in map(named_folder, chain(*options.compare)):
        compare.setdefault(name, []).append(options.reading.open((folder,)))
    skipped: dict[str, str] = {}
    with stderr_bar(options.quiet) as bar:
        line = bar.add_task("probe", total=None)

        def progress(row: str, done: int, total: int) -> None:
            bar.update(line, description=escape(row), completed=done, total=total)

        result = probe(
            data,
            compare,
            solver=options.solver,
            videos=options.videos,
            seeds=options.seeds,
            train_subset=options.train_subset,
            test_subset=options.test_subset,
            skipped=skipped,
            progress=progress,
        )
    report_skipped({**data.features.unreadable, **skipped})
    if not options.quiet:
        say(str(data))
    if options.json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        # narrower, and the figures would be cut; a file or a pipe has no width of its own
        Console(width=max(WIDTH, Console().width)).print(result.table())


def named_folder(text: str) -> tuple[str, Path]:
    """Split NAME=DIR; SolaError when it is not that."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise SolaError(f"--compare {text}: expected NAME=DIR, such as sola=transformed/")
    return name, Path(folder)
