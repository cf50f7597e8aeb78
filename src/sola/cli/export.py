"""`sola export`: one command per format."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sola.cli import options
from sola.cli.help import epilogue
from sola.core.log import counted, show_log

log = logging.getLogger(__name__)

app = App(name="export")


@app.command(
    help_epilogue=epilogue(
        "export onnx", "sola export onnx run --out module.onnx\nsola export onnx run --out module.onnx --quiet"
    )
)
def onnx(
    run: options.ModuleRun,
    /,
    *,
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="FILE")],
    quiet: options.Quiet = False,
) -> None:
    """Export a SoLa module as one ONNX file: features [batch, time, channels] in, the same shape out.

    Args:
        out: File to write.
    """
    from sola.export.onnx import export_onnx
    from sola.pipeline.transform_job import load_module

    show_log(quiet)
    export_onnx(load_module(run).network, out)
    log.info("%s: written", out)


@app.command(
    alias="actionformer",
    help_epilogue=epilogue(
        "export opentad",
        "sola export opentad softened/ --annotations annotations.json --out dataset/\n"
        "sola export actionformer softened/ --annotations thumos14.json --test-subset test --out dataset/",
    ),
)
def opentad(
    features: options.Features,
    /,
    *,
    annotations: options.AnnotationFile,
    train_subset: options.TrainSubset = "training",
    test_subset: options.TestSubset = "validation",
    label_key: options.LabelKey = "label",
    reading: options.Reading = options.Reading(),
    timing: options.Timing = options.Timing(),
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="DIR")],
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Export features and annotations as a dataset that OpenTAD and ActionFormer both read.

    Writes features/, annotations.json, category_idx.txt, and a configuration for each of them: opentad.py and
    actionformer.yaml. Both tools place every snippet at the same seconds as SoLa does.

    Args:
        out: Folder to write; the configurations contain its path.
    """
    from sola.core.progress import progress_bar
    from sola.data.summary import split_summaries
    from sola.export import export_dataset

    show_log(quiet)
    data = reading.dataset(features, annotations, label_key, timing.given())
    skipped: dict[str, str] = {}
    with progress_bar("export", quiet=quiet) as bar:
        written = export_dataset(
            data,
            out,
            train_subset=train_subset,
            test_subset=test_subset,
            overwrite=overwrite,
            skipped=skipped,
            progress=bar.update,
        )
    options.report_skipped(data.features.unreadable, skipped)
    options.report_data(*split_summaries(data, train_subset, test_subset))
    if written.left_out:
        left_out = counted(len(written.left_out), "training video")
        log.info("%s without instances left out, such as %s", left_out, written.left_out[0])
    log.info("%s: %s, %s", out, counted(len(written.videos), "video"), counted(len(written.classes), "class"))
