"""`sola report`."""

import dataclasses
from itertools import chain
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from sola.cli.console import parse, say
from sola.cli.options import Reading, ReadingFlags, Timing, TimingFlags
from sola.core.errors import SolaError
from sola.data.features import FeatureSet
from sola.report.material import gather
from sola.report.report import report_page
from sola.report.sources import read_sources


@dataclasses.dataclass(frozen=True)
class Report:
    """Write one page that opens offline: tables, error bars, training curves, and an explorer of single videos.

    The explorer shows annotated segments and detections on a timeline, and similarity maps of the features below it.
    Without any RUN, it shows what --detections, --features and --annotations name.
    """

    out: Annotated[Path, arg(metavar="HTML")]
    """The page to write."""
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN")] = ()
    """Folders of `sola experiment`, or runs of `sola train` and `sola localize train`."""
    annotations: Annotated[Path | None, arg(metavar="JSON")] = None
    """The ground truth (default: that of the runs)."""
    detections: Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="NAME=FILE ...")] = ()
    """Predictions of any tool: ActivityNet's JSON, or lines of THUMOS14."""
    features: Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="NAME=DIR ...")] = ()
    """Features whose similarity maps are shown."""
    subset: str | None = None
    """Whose videos the explorer shows (default: the experiment's test subset, else validation)."""
    label_key: str | None = None
    """The annotation's field that names the class (default: that of the runs, else label)."""
    videos: int = 12
    """Videos in the explorer, evenly chosen; more of them make a larger page."""
    title: str | None = None
    """Of the page."""
    overwrite: bool = False
    """Replace OUT."""
    quiet: bool = False
    """No remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Report, "report", arguments)
    if options.out.exists() and not options.overwrite:
        raise SolaError(f"{options.out}: exists already; choose another file, or pass --overwrite")
    detections = [named_path("--detections", text) for text in chain(*options.detections)]
    features = [named_path("--features", text) for text in chain(*options.features)]
    if not (options.runs or detections or features):
        raise SolaError("RUN is missing: name an experiment or a run, or files with --detections or --features")
    experiments, runs = read_sources(options.runs)
    material = gather(
        experiments,
        runs,
        annotations=options.annotations,
        label_key=options.label_key,
        detections=detections,
        features=features,
        subset=options.subset,
        id_prefix=options.reading.id_prefix,
        open_features=lambda paths: options.timing.fill(
            FeatureSet.open(paths, channels_first=options.reading.channels_first, skip_bad=options.reading.skip_bad)
        ),
    )
    page = report_page(
        experiments,
        runs,
        material,
        title=options.title,
        videos=options.videos,
    )
    page.write(options.out)
    if not options.quiet:
        for note in material.notes:
            say(note)
        if page.explorer is not None and page.explorer.left_out:
            say(f"the explorer holds {page.explorer.shown} videos, {page.explorer.left_out} are left out (--videos)")
        say(f"open {options.out}")


def named_path(flag: str, text: str) -> tuple[str, Path]:
    """Split NAME=PATH; SolaError when it is not that."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise SolaError(f"{flag} {text}: expected NAME=PATH, such as sola=there/")
    return name, Path(path)
