"""`sola transform`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Features, Reading, ReadingFlags, load_run, report_skipped
from sola.engine import Device, choose_device
from sola.transformation import transform


@dataclasses.dataclass(frozen=True)
class Transform:
    """Write every video of FEATURES through the module of RUN to OUT: same names, same format, same dtype.

    OUT appears when it is whole. A transform that was stopped goes on with the videos that are missing.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A finished run of `sola train`."""
    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    out: Annotated[Path, arg(metavar="DIR")]
    """The folder to write."""
    overwrite: bool = False
    """Replace OUT."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""
    quiet: bool = False
    """No progress bar, no remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Transform, "transform", arguments)
    module = load_run(options.run).to(choose_device(options.device))
    features = options.reading.open(options.features)
    with stderr_bar(options.quiet) as progress:
        line = progress.add_task("transform", total=len(features.videos))
        transform(
            module,
            features,
            options.out,
            overwrite=options.overwrite,
            progress=lambda done, total: progress.update(line, completed=done, total=total),
        )
    report_skipped(features)
    if not options.quiet:
        say(f"{options.out}: {len(features.videos)} videos")
