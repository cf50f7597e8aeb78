"""`sola evaluate`."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.data.detections import Format
from sola.evaluation.metrics.protocol import DATASETS, Protocol, checked, thresholds

if TYPE_CHECKING:
    from sola.evaluation.detections import DetectionResult, ProposalResult

log = logging.getLogger(__name__)


def evaluate(
    predictions: Annotated[
        Path,
        Parameter(
            group=options.INPUTS,
            help='ActivityNet\'s JSON {"results": {video: [{"segment", "label", "score"}]}}, or THUMOS14\'s lines '
            "`video start end class score`, or a table with such a header.",
        ),
    ],
    /,
    *,
    annotations: options.AnnotationFile,
    test_subset: Annotated[
        str | None,
        Parameter(
            group=options.INPUTS, help="Subset of the annotations to evaluate on. Without it, that of --dataset."
        ),
    ] = None,
    label_key: options.LabelKey = "label",
    id_prefix: options.IdPrefix = None,
    format: Annotated[Format, Parameter(group=options.INPUTS)] = "auto",
    proposals: bool = False,
    dataset: Annotated[str, Parameter(choices=tuple(DATASETS))] = "activitynet",
    tiou: str | None = None,
    protocol: Protocol = "official",
    recall_at: Annotated[tuple[int, ...], Parameter(metavar="K", validator=options.AT_LEAST_ONE)] = (),
    diagnosis: Annotated[Path | None, Parameter(group=options.OUTPUT, metavar="FIGURE")] = None,
    json: options.Json = False,
) -> None:
    """Run `sola evaluate`.

    Args:
        format: Format of the predictions; auto: by the suffix (.json; .txt, .csv, .tsv).
        proposals: Evaluate class-agnostic proposals (AR@AN, AUC) instead of detections (mAP); labels are ignored.
        dataset: Dataset that sets default thresholds, subset (test for thumos14, else validation), and length bins.
        tiou: tIoU thresholds: FIRST:LAST:STEP, or separated by commas. Without it, those of --dataset.
        protocol: official: every instance counts, as in ActivityNet's evaluator; filtered: no duplicates or empty ones.
        recall_at: Also compute Recall@kx: of the k·n best detections of a class in a video with n instances of it.
        diagnosis: Also analyze errors and mAP by instance length; write a figure (.png, .svg, .pdf).
    """
    from rich.console import Console

    from sola.cli.evaluation_tables import detection_tables, proposal_table
    from sola.data.annotations import read_annotations
    from sola.data.detections import read_detections
    from sola.evaluation.detections import evaluate, evaluate_proposals

    show_log()
    if proposals and (recall_at or diagnosis is not None):
        raise SolaError(f"{'--recall-at' if recall_at else '--diagnosis'}: is for detections, not with --proposals")
    defaults = DATASETS["activitynet" if proposals else dataset]
    levels = defaults.tiou if tiou is None else read_thresholds(tiou)
    began = time.perf_counter()
    subset = read_annotations(annotations, label_key).subset(test_subset or DATASETS[dataset].subset)
    found = read_detections(predictions, format)
    read = time.perf_counter()
    result: DetectionResult | ProposalResult
    if proposals:
        result = ranked = evaluate_proposals(found, subset, tiou=levels, protocol=protocol, id_prefix=id_prefix)
        tables = [proposal_table(ranked)]
    else:
        result = scored = evaluate(
            found,
            subset,
            tiou=levels,
            protocol=protocol,
            top=recall_at,
            diagnosed=diagnosis is not None,
            lengths=defaults.lengths,
            id_prefix=id_prefix,
        )
        tables = detection_tables(scored)
        if diagnosis is not None:
            from sola.report.plots import diagnosis_plot
            from sola.report.saving import write_plot

            write_plot(diagnosis, diagnosis_plot(scored))
    seconds = {"read": read - began, "evaluate": time.perf_counter() - read}
    if json:
        options.print_json({**result.to_json(), "seconds": seconds})
        return
    for warning in result.warnings:
        log.warning("note: %s", warning)
    log.info("%s predictions, %s instances", f"{result.predictions:,}", f"{result.instances:,}")
    for table in tables:
        Console().print(table)


def read_thresholds(text: str) -> tuple[float, ...]:
    """Read FIRST:LAST:STEP, or thresholds separated by commas; SolaError when it is neither."""
    try:
        if ":" in text:
            first, last, step = map(float, text.split(":"))
            return thresholds(first, last, step)
        return checked([float(part) for part in text.split(",")])
    except ValueError:
        raise SolaError(f"--tiou {text}: expected FIRST:LAST:STEP such as .5:.95:.05, or numbers .5,.75") from None
