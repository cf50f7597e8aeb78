"""`sola report`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.core.errors import SolaError
from sola.core.log import counted, show_log

log = logging.getLogger(__name__)


def report(
    run: Annotated[
        tuple[Path, ...],
        Parameter(
            group=options.INPUTS,
            help="Folders of `sola reproduce`, or runs of `sola train` and `sola train-detector`.",
        ),
    ] = (),
    /,
    *,
    annotations: options.OptionalAnnotationFile = None,
    detections: Annotated[tuple[str, ...], Parameter(group=options.INPUTS, metavar="NAME=FILE")] = (),
    features: Annotated[tuple[str, ...], Parameter(group=options.INPUTS, metavar="NAME=DIR")] = (),
    test_subset: Annotated[str | None, Parameter(group=options.INPUTS)] = None,
    label_key: Annotated[str | None, Parameter(group=options.INPUTS)] = None,
    reading: options.Reading = options.Reading(),
    max_videos: Annotated[int, Parameter(validator=options.AT_LEAST_ONE)] = 12,
    title: str | None = None,
    timing: options.Timing = options.Timing(),
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="HTML")],
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Run `sola report`.

    Args:
        detections: Detections of any tool: ActivityNet's JSON, or THUMOS14's lines.
        features: Features whose similarity maps are shown.
        test_subset: Subset that the explorer shows. Without it, that of the experiment, or validation.
        label_key: Field of an annotation that names the class. Without it, that of the runs.
        max_videos: Videos in the explorer, evenly spaced; more of them make a larger page.
        title: Title of the page.
        out: Page to write.
    """
    from sola.report.material import gather
    from sola.report.report import report_page
    from sola.report.sources import read_sources

    show_log(quiet)
    if out.exists() and not overwrite:
        raise SolaError(f"{out}: exists already; choose another file, or pass --overwrite")
    named_detections = options.named_paths("--detections", detections)
    named_features = options.named_paths("--features", features)
    if not (run or named_detections or named_features):
        raise SolaError("RUN is missing: name an experiment or a run, or files with --detections or --features")
    experiments, runs = read_sources(run)
    material = gather(
        experiments,
        runs,
        annotations=annotations,
        label_key=label_key,
        detections=named_detections,
        features=named_features,
        subset=test_subset,
        id_prefix=reading.id_prefix,
        open_features=lambda paths: reading.open(paths).with_timing(timing.given()),
    )
    page = report_page(experiments, runs, material, title=title, videos=max_videos)
    page.write(out)
    for note in material.notes:
        log.info("%s", note)
    if page.explorer is not None and page.explorer.left_out:
        shown = counted(page.explorer.shown, "video")
        log.info("the explorer holds %s, %d left out (--max-videos)", shown, page.explorer.left_out)
    log.info("open %s", out)
