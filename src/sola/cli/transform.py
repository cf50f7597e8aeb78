"""`sola transform`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli.options import (
    OUTPUT,
    DeviceOption,
    Execution,
    Features,
    ModuleRun,
    Overwrite,
    Quiet,
    Reading,
    place_of,
    report_skipped,
)
from sola.core.log import show_log

log = logging.getLogger(__name__)


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
    from sola.core.progress import progress_bar
    from sola.pipeline.staging import StoredFeatures
    from sola.pipeline.storage import Storage
    from sola.pipeline.transforming import transform_on_cluster
    from sola.softlanding.transform import transform as transform_here

    show_log(quiet)
    resources = execution.resources(run, *features, out)
    with progress_bar("transform", quiet=quiet) as bar:
        if resources is None:
            module = load_module(run).to(choose_device(device))
            opened = reading.open(features)
            bad: dict[str, str] = {}
            transform_here(module, opened, out, overwrite=overwrite, skipped=bad, progress=bar.update)
            count, skipped = len(opened.videos) - len(bad), {**opened.unreadable, **bad}
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
                progress=bar.update,
            )
            count = len(stored.videos) - len(skipped)
    report_skipped(skipped)
    log.info("%s: %d videos", place_of(out), count)
