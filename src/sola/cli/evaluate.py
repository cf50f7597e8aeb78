"""`sola evaluate`."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.cli.help import secondary
from sola.core.errors import SolaError
from sola.core.log import counted, show_log
from sola.data.detections import Format
from sola.evaluation.metrics.protocol import DATASETS, Protocol, checked, thresholds

if TYPE_CHECKING:
    from sola.evaluation.actions import ActionResult
    from sola.evaluation.detections import DetectionResult, ProposalResult
    from sola.evaluation.frames import FrameMapResult, SegmentationResult

FRAMES = secondary("Frames", sort_key=6)

log = logging.getLogger(__name__)


def evaluate(
    predictions: Annotated[
        Path,
        Parameter(
            group=options.INPUTS,
            help='ActivityNet\'s JSON {"results": {video: [{"segment", "label", "score"}]}}, or THUMOS14\'s lines '
            "`video start end class score`, or a table with such a header; or a folder of files with one class per "
            "frame.",
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
    format: Annotated[Format, Parameter(group=options.READING)] = "auto",
    proposals: bool = False,
    segmentation: bool = False,
    per_frame: bool = False,
    actions: bool = False,
    fps: Annotated[float | None, Parameter(group=FRAMES, converter=options.fraction)] = None,
    min_score: Annotated[float | None, Parameter(group=FRAMES)] = None,
    background: Annotated[bool, Parameter(group=FRAMES)] = False,
    dataset: Annotated[str, Parameter(choices=tuple(DATASETS))] = "activitynet",
    tiou: str | None = None,
    protocol: Annotated[Protocol, Parameter(group=options.MORE)] = "official",
    recall_at: Annotated[
        tuple[int, ...], Parameter(group=options.MORE, metavar="K", validator=options.AT_LEAST_ONE)
    ] = (),
    diagnosis: Annotated[Path | None, Parameter(group=options.OUTPUT, metavar="FIGURE")] = None,
    json: options.Json = False,
) -> None:
    """Run `sola evaluate`.

    Args:
        format: Format of the predictions; auto: by the suffix (.json; .txt, .csv, .tsv), frames for a folder.
        proposals: Evaluate class-agnostic proposals (AR@AN, AUC) instead of detections (mAP); labels are ignored.
        segmentation: Evaluate one class per frame instead: frame accuracy, Edit score, F1@10, 25, 50.
        per_frame: Evaluate the classes of frames instead: mAP over all frames, or 25 points per video with charades.
        actions: Evaluate classes "verb,noun" by verb, by noun, and by both (EPIC-Kitchens).
        fps: Frames per second of --segmentation, --per-frame, and files that count frames. Without it, those of the
            annotations.
        min_score: Leave out detections with a lower score, with --segmentation.
        background: Count background as segments, too, with --segmentation (as for Breakfast and 50 Salads).
        dataset: Dataset that sets default thresholds, subset, and length bins.
        tiou: tIoU thresholds: FIRST:LAST:STEP, or separated by commas. Without it, those of --dataset.
        protocol: official: all instances, like ActivityNet's evaluator; filtered: no duplicate and no empty instances.
        recall_at: Also compute Recall@kx, from the k·n best detections of a class in a video with n instances.
        diagnosis: Also analyze errors and mAP by instance length, and write a figure (.png, .svg, .pdf).
    """
    from rich.console import Console

    from sola.cli.evaluation_tables import (
        action_table,
        detection_tables,
        frame_table,
        proposal_table,
        segmentation_table,
    )
    from sola.data.annotations import read_annotations
    from sola.data.detections import read_detections
    from sola.evaluation.actions import evaluate_actions
    from sola.evaluation.detections import evaluate, evaluate_proposals
    from sola.evaluation.frames import FrameResult, evaluate_frames, evaluate_segmentation

    show_log()
    kind = chosen(proposals=proposals, segmentation=segmentation, per_frame=per_frame, actions=actions)
    if kind and (recall_at or diagnosis is not None):
        raise SolaError(f"{'--recall-at' if recall_at else '--diagnosis'}: is for detections, not with --{kind}")
    if background and kind != "segmentation":
        raise SolaError("--background: is for --segmentation")
    if min_score is not None and kind != "segmentation":
        raise SolaError("--min-score: is for --segmentation; mAP needs detections of every score")
    defaults = DATASETS["activitynet" if kind == "proposals" else dataset]
    levels = defaults.tiou if tiou is None else read_thresholds(tiou)
    began = time.perf_counter()
    subset = read_annotations(annotations, label_key, fps=fps).subset(test_subset or DATASETS[dataset].subset)
    found = read_detections(predictions, format, fps=fps)
    read = time.perf_counter()
    result: DetectionResult | ProposalResult | SegmentationResult | FrameMapResult | ActionResult
    if kind == "proposals":
        result = ranked = evaluate_proposals(found, subset, tiou=levels, protocol=protocol, id_prefix=id_prefix)
        tables = [proposal_table(ranked)]
    elif kind == "segmentation":
        result = segments = evaluate_segmentation(
            found, subset, fps=fps, min_score=min_score, background=background, id_prefix=id_prefix
        )
        tables = [segmentation_table(segments)]
    elif kind == "per-frame":
        result = frames = evaluate_frames(
            found, subset, fps=fps, points=None if fps else DATASETS[dataset].points, id_prefix=id_prefix
        )
        tables = [frame_table(frames)]
    elif kind == "actions":
        result = pairs = evaluate_actions(found, subset, tiou=levels, protocol=protocol, id_prefix=id_prefix)
        tables = [action_table(pairs)]
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
    if isinstance(result, FrameResult):
        truth = counted(result.frames, "frame")
    else:
        truth = counted(result.instances, "instance")
    log.info("%s, %s", counted(result.predictions, "prediction"), truth)
    for table in tables:
        Console().print(table)


def chosen(**kinds: bool) -> str:
    """Return the name of the flag that was passed, or "" for none. Raises SolaError for several flags."""
    flags = [name.replace("_", "-") for name, passed in kinds.items() if passed]
    if len(flags) > 1:
        raise SolaError(f"--{flags[0]} and --{flags[1]}: pass one of them")
    return flags[0] if flags else ""


def read_thresholds(text: str) -> tuple[float, ...]:
    """Parse FIRST:LAST:STEP or comma-separated thresholds. Raises SolaError for anything else."""
    try:
        if ":" in text:
            first, last, step = map(float, text.split(":"))
            return thresholds(first, last, step)
        return checked([float(part) for part in text.split(",")])
    except ValueError:
        raise SolaError(f"--tiou {text}: expected FIRST:LAST:STEP such as .5:.95:.05, or numbers .5,.75") from None
