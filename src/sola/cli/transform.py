"""`sola transform`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.core.log import counted, show_log

log = logging.getLogger(__name__)


def transform(
    run: options.ModuleRun,
    features: options.Features,
    /,
    *,
    reading: options.Reading = options.Reading(),
    device: options.DeviceOption = "auto",
    execution: options.Execution = options.Execution(),
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="DIR")],
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
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
        skipped = run_job(job, executor, skip_bad=reading.skip_bad, progress=options.bar_progress(bar))
    videos = counted(len(opened.videos) - len(skipped), "video")
    options.report_skipped(opened.unreadable, skipped)
    log.info("%s: %s", options.place_of(out), videos)
