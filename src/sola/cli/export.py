"""`sola export`: one command per format."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sola.cli.console import report_skipped, say, stderr_bar
from sola.cli.options import (
    OUTPUT,
    AnnotationFile,
    Features,
    LabelKey,
    ModuleRun,
    Overwrite,
    Quiet,
    Reading,
    TestSubset,
    Timing,
    TrainSubset,
)

app = App(name="export")


@app.command(
    help_epilogue="Examples:\n\nsola export onnx run --out module.onnx\nsola export onnx run --out module.onnx --quiet"
)
def onnx(
    run: ModuleRun,
    /,
    *,
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="FILE")],
    quiet: Quiet = False,
) -> None:
    """Export a SoLa module as one ONNX file: features [batch, time, channels] in, the same shape out.

    Args:
        out: File to write.
    """
    from sola.cli.loading import load_module
    from sola.export.onnx import export_onnx

    export_onnx(load_module(run), out)
    if not quiet:
        say(f"{out}: written")


@app.command(
    alias="actionformer",
    help_epilogue="Examples:\n\n"
    "sola export opentad softened/ --annotations annotations.json --out dataset/\n"
    "sola export actionformer softened/ --annotations thumos14.json --test-subset test --out dataset/",
)
def opentad(
    features: Features,
    /,
    *,
    annotations: AnnotationFile,
    train_subset: TrainSubset = "training",
    test_subset: TestSubset = "validation",
    label_key: LabelKey = "label",
    reading: Reading = Reading(),
    timing: Timing = Timing(),
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="DIR")],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Export features and annotations as a dataset that OpenTAD and ActionFormer both read.

    Writes features/, annotations.json, category_idx.txt, and a configuration for each of them: opentad.py and
    actionformer.yaml. Both tools place every snippet at the same seconds as SoLa does.

    Args:
        out: Folder to write; the configurations contain its path.
    """
    from sola.data.annotations import read_annotations
    from sola.export import write_handover

    annotated = read_annotations(annotations, label_key)
    opened = timing.fill(reading.open(features))
    with stderr_bar(quiet) as bar:
        line = bar.add_task("export", total=None)
        written = write_handover(
            opened,
            annotated,
            out,
            id_prefix=reading.id_prefix,
            train_subset=train_subset,
            test_subset=test_subset,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(line, completed=done, total=total),
        )
    report_skipped(opened.skipped)
    if quiet:
        return
    say(str(written.match))
    if written.left_out:
        say(f"{len(written.left_out)} training videos left out, such as {written.left_out[0]}: no instance in them")
    say(f"{out}: {len(written.videos)} videos, {len(written.classes)} classes")
