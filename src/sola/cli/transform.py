"""`sola transform`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Features, Reading, ReadingFlags, Spreading, SpreadingFlags, place_of, report_skipped
from sola.core.device import Device
from sola.core.storage import Storage
from sola.data.features import FeatureSet
from sola.pipeline.executors import run_job
from sola.pipeline.transform_job import load_module, transform_job


@dataclasses.dataclass(frozen=True)
class Transform:
    """Write every video of FEATURES through the module of RUN to OUT: same names, same format, same dtype.

    A transform that was stopped continues with the videos that are missing.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A finished run of `sola train`."""
    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    out: Annotated[Path, arg(metavar="DIR")]
    """The folder to write."""
    overwrite: bool = False
    """Replace what another transform wrote to OUT."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""
    quiet: bool = False
    """No progress bar, no remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    spreading: SpreadingFlags = dataclasses.field(default_factory=Spreading)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Transform, "transform", arguments)
    executor = options.spreading.executor(options.run, *options.features, options.out)
    module = load_module(options.run)
    features = options.reading.open_anywhere(options.features)
    job = transform_job(module, features, Storage.of(options.out), device=options.device, overwrite=options.overwrite)
    with stderr_bar(options.quiet) as bar:
        line = bar.add_task("transform", total=None)
        skipped = run_job(
            job,
            executor,
            skip_bad=options.reading.skip_bad,
            progress=lambda done, total, snippets: bar.update(line, completed=done, total=total),
        )
    if isinstance(features, FeatureSet):
        skipped = {**features.unreadable, **skipped}
    report_skipped(skipped)
    if not options.quiet:
        count = sum(video not in skipped for video in features.videos)
        say(f"{place_of(options.out)}: {count} videos")
