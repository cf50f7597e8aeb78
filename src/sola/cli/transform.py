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
    bar_progress,
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
    from sola.core.progress import progress_bar
    from sola.core.storage import Storage
    from sola.pipeline.executors import run_job
    from sola.pipeline.transform_job import load_module, transform_job

    show_log(quiet)
    executor = execution.executor_for(run, *features, out)
    module, opened = load_module(run), reading.open_stored(features)
    job = transform_job(module, opened, Storage.of(out), device=device, overwrite=overwrite)
    with progress_bar("transform", total=len(opened.videos), quiet=quiet) as bar:
        skipped = run_job(job, executor, skip_bad=reading.skip_bad, progress=bar_progress(bar))
    count = len(opened.videos) - len(skipped)
    report_skipped(opened.unreadable, skipped)
    log.info("%s: %d videos", place_of(out), count)
