"""`sola transform`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli.console import place_of, report_skipped, say, stderr_bar
from sola.cli.options import OUTPUT, DeviceOption, Execution, Features, ModuleRun, Overwrite, Quiet, Reading


def transform(
    run: ModuleRun,
    features: Features,
    /,
    *,
    reading: Reading = Reading(),
    device: DeviceOption = "auto",
    execution: Execution = Execution(),
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="DIR")],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run `sola transform`.

    Args:
        out: Folder of features to write.
    """
    from sola.cli.loading import load_module
    from sola.core.device import choose_device
    from sola.pipeline.staging import StoredFeatures
    from sola.pipeline.storage import Storage
    from sola.pipeline.transforming import transform_on_cluster
    from sola.softlanding.transform import transform as transform_here

    resources = execution.resources(run, *features, out)
    with stderr_bar(quiet) as bar:
        line = bar.add_task("transform", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(line, completed=done, total=total)

        if resources is None:
            module = load_module(run).to(choose_device(device))
            opened = reading.open(features)
            transform_here(module, opened, out, overwrite=overwrite, progress=progress)
            count, skipped = len(opened.videos), opened.skipped
        else:
            stored = StoredFeatures.of(features, channels_first=reading.channels_first)
            skipped = transform_on_cluster(
                Storage.of(run),
                stored,
                Storage.of(out),
                device=device,
                resources=resources,
                skip_bad=reading.skip_bad,
                overwrite=overwrite,
                progress=progress,
            )
            count = len(stored.videos) - len(skipped)
    report_skipped(skipped)
    if not quiet:
        say(f"{place_of(out)}: {count} videos")
