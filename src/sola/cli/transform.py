"""`sola transform`."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import (
    Features,
    Reading,
    ReadingFlags,
    Spreading,
    SpreadingFlags,
    load_run,
    place_of,
    report_skipped,
)
from sola.core.device import Device, choose_device
from sola.pipeline.ray import Progress, Resources
from sola.pipeline.staging import StoredFeatures
from sola.pipeline.storage import Storage
from sola.pipeline.transforming import transform_on_cluster
from sola.softlanding.transform import transform


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
    spreading: SpreadingFlags = dataclasses.field(default_factory=Spreading)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Transform, "transform", arguments)
    resources = options.spreading.resources(options.run, *options.features, options.out)
    with stderr_bar(options.quiet) as bar:
        line = bar.add_task("transform", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(line, completed=done, total=total)

        if resources is None:
            count, skipped = here(options, progress)
        else:
            count, skipped = on_cluster(options, resources, progress)
    report_skipped(skipped)
    if not options.quiet:
        say(f"{place_of(options.out)}: {count} videos")


def here(options: Transform, progress: Progress) -> tuple[int, Mapping[str, str]]:
    """Do it in this process; return how many videos there are, and why others were left out."""
    module = load_run(options.run).to(choose_device(options.device))
    features = options.reading.open(options.features)
    skipped: dict[str, str] = {}
    transform(module, features, options.out, overwrite=options.overwrite, skipped=skipped, progress=progress)
    return len(features.videos) - len(skipped), {**features.unreadable, **skipped}


def on_cluster(options: Transform, resources: Resources, progress: Progress) -> tuple[int, Mapping[str, str]]:
    """Do it on a cluster; return the same."""
    features = StoredFeatures.of(options.features, channels_first=options.reading.channels_first)
    skipped = transform_on_cluster(
        Storage.of(options.run),
        features,
        Storage.of(options.out),
        device=options.device,
        resources=resources,
        skip_bad=options.reading.skip_bad,
        overwrite=options.overwrite,
        progress=progress,
    )
    return len(features.videos) - len(skipped), skipped
