"""`sola handover`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Features, Reading, ReadingFlags, Timing, TimingFlags, report_skipped
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset
from sola.export import write_handover


@dataclasses.dataclass(frozen=True)
class HandoverCommand:
    """Write FEATURES and annotations to OUT as the data sets of ActionFormer and OpenTAD read them.

    OUT gets features/, annotations.json, category_idx.txt, and a configuration for each: actionformer.yaml, opentad.py.
    Both give every snippet the seconds that it has here.
    """

    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    annotations: Annotated[Path, arg(metavar="JSON")]
    """ActivityNet's layout, which HACS and THUMOS14 share."""
    out: Annotated[Path, arg(metavar="DIR")]
    """The folder to write; its path stands in the configurations."""
    train_subset: str = "training"
    """The subset that the tools train on."""
    test_subset: str = "validation"
    """The one that they measure on."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun)."""
    overwrite: bool = False
    """Replace OUT, if this command wrote it."""
    quiet: bool = False
    """No progress bar, no remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(HandoverCommand, "handover", arguments)
    annotations = read_annotations(options.annotations, options.label_key)
    data = Dataset.open(
        options.reading.open(options.features),
        annotations,
        id_prefix=options.reading.id_prefix,
        timing=options.timing.given(),
    )
    skipped: dict[str, str] = {}
    with stderr_bar(options.quiet) as bar:
        line = bar.add_task("handover", total=None)
        written = write_handover(
            data,
            options.out,
            train_subset=options.train_subset,
            test_subset=options.test_subset,
            overwrite=options.overwrite,
            skipped=skipped,
            progress=lambda done, total: bar.update(line, completed=done, total=total),
        )
    report_skipped({**data.features.unreadable, **skipped})
    if options.quiet:
        return
    say(str(data))
    if written.left_out:
        say(f"{len(written.left_out)} training videos left out, such as {written.left_out[0]}: no instance in them")
    say(f"{options.out}: {len(written.videos)} videos, {len(written.classes)} classes")
