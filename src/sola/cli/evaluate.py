"""`sola evaluate detections` and `sola evaluate proposals`."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import OmitArgPrefixes, Positional, arg

from sola.cli.console import parse, say, subcommand
from sola.core.errors import SolaError
from sola.data.annotations import Annotations, read_annotations
from sola.data.detections import Detections as DetectionFile
from sola.data.detections import Format, read_detections
from sola.evaluation.detections import (
    DetectionResult,
    ProposalResult,
    evaluate_detections,
    evaluate_proposals,
    threshold_name,
)
from sola.evaluation.metrics.protocol import ACTIVITYNET, DATASETS, Protocol, checked, thresholds
from sola.evaluation.tables import percent


@dataclasses.dataclass(frozen=True)
class Input:
    """What is measured against what."""

    annotations: Annotated[Path, arg(metavar="JSON")]
    """ActivityNet's layout, which HACS and THUMOS14 share."""
    dataset: Literal["activitynet", "hacs", "thumos14"] = "activitynet"
    """Whose thresholds, lengths and subset are the defaults."""
    subset: str | None = None
    """The annotated videos to evaluate on (validation; test for thumos14)."""
    tiou: str | None = None
    """Thresholds, as FIRST:LAST:STEP or parted by commas (.5:.95:.05; .3:.7:.1 for mAP on thumos14)."""
    protocol: Protocol = "official"
    """official keeps every instance, as ActivityNet's evaluator; filtered drops duplicates and empty ones."""
    format: Format = "auto"
    """ActivityNet's JSON, or THUMOS14's lines `video start end class score` (.txt, .csv, .tsv)."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun)."""
    id_prefix: str | None = None
    """What video ids begin with on one side only, such as v_ (found by itself where it is common to all)."""
    json: bool = False
    """Print JSON on stdout instead of a table: mAP and AR as fractions, AUC in per cent."""

    def read(self, predictions: Path) -> tuple[DetectionFile, Annotations]:
        """Predictions and the annotated subset; SolaError when one is not what it should be."""
        annotations = read_annotations(self.annotations, self.label_key)
        subset = annotations.subset(self.subset or DATASETS[self.dataset].subset)
        return read_detections(predictions, self.format), subset

    def thresholds(self, default: tuple[float, ...]) -> tuple[float, ...]:
        """The thresholds asked for."""
        return default if self.tiou is None else read_thresholds(self.tiou)


InputFlags = OmitArgPrefixes[Input]


@dataclasses.dataclass(frozen=True)
class EvaluateDetections:
    """Mean average precision of detections: interpolated, per class, at every tIoU threshold, and its average."""

    predictions: Annotated[Positional[Path], arg(metavar="PREDICTIONS")]
    """ActivityNet's JSON {"results": {video: [{"segment", "label", "score"}]}}, or THUMOS14's lines."""
    input: InputFlags
    top: tuple[int, ...] = ()
    """Also Recall@kx for these k: of the k·n best detections of a class in a video with n instances of it."""
    diagnosis: Annotated[Path | None, arg(metavar="FIGURE")] = None
    """Also say where the error comes from, and mAP by instance length; write it as a figure (.png, .svg, .pdf)."""


@dataclasses.dataclass(frozen=True)
class EvaluateProposals:
    """Average recall of class-agnostic proposals against their number, and the area under it."""

    predictions: Annotated[Positional[Path], arg(metavar="PREDICTIONS")]
    """ActivityNet's JSON {"results": {video: [{"segment", "score"}]}}, or THUMOS14's lines; labels are ignored."""
    input: InputFlags


def run(arguments: list[str]) -> None:
    """Parse and run."""
    subcommand(arguments, "evaluate", {"detections": (detections, "mAP"), "proposals": (proposals, "AR@AN and AUC")})


def detections(arguments: list[str]) -> None:
    """Measure detections."""
    options = parse(EvaluateDetections, "evaluate detections", arguments)
    dataset = DATASETS[options.input.dataset]
    tiou = options.input.thresholds(dataset.tiou)
    if not all(k >= 1 for k in options.top):
        raise SolaError(f"--top {' '.join(map(str, options.top))}: expected whole numbers of at least 1")
    began = time.perf_counter()
    found, annotations = options.input.read(options.predictions)
    read = time.perf_counter()
    result = evaluate_detections(
        found,
        annotations,
        tiou=tiou,
        protocol=options.input.protocol,
        top=options.top,
        diagnosed=options.diagnosis is not None,
        lengths=dataset.lengths,
        id_prefix=options.input.id_prefix,
    )
    seconds = {"read": read - began, "evaluate": time.perf_counter() - read}
    if options.diagnosis is not None:
        from sola.report.plots import diagnosis_plot
        from sola.report.saving import write_plot

        write_plot(options.diagnosis, diagnosis_plot(result))
    if options.input.json:
        print_json(result, seconds)
    else:
        print_tables(result, detection_tables(result))


def proposals(arguments: list[str]) -> None:
    """Measure proposals."""
    options = parse(EvaluateProposals, "evaluate proposals", arguments)
    tiou = options.input.thresholds(ACTIVITYNET.tiou)
    began = time.perf_counter()
    found, annotations = options.input.read(options.predictions)
    read = time.perf_counter()
    result = evaluate_proposals(
        found, annotations, tiou=tiou, protocol=options.input.protocol, id_prefix=options.input.id_prefix
    )
    seconds = {"read": read - began, "evaluate": time.perf_counter() - read}
    if options.input.json:
        print_json(result, seconds)
    else:
        print_tables(result, [proposal_table(result)])


def read_thresholds(text: str) -> tuple[float, ...]:
    """Read FIRST:LAST:STEP, or thresholds parted by commas; SolaError when it is neither."""
    try:
        if ":" in text:
            first, last, step = map(float, text.split(":"))
            return thresholds(first, last, step)
        return checked([float(part) for part in text.split(",")])
    except ValueError:
        raise SolaError(f"--tiou {text}: expected FIRST:LAST:STEP such as .5:.95:.05, or numbers .5,.75") from None


def print_json(result: DetectionResult | ProposalResult, seconds: dict[str, float]) -> None:
    """Everything, on stdout."""
    print(json.dumps({**result.to_json(), "seconds": seconds}, indent=2, allow_nan=False))


def print_tables(result: DetectionResult | ProposalResult, tables: list[Table]) -> None:
    """The tables on stdout, what is odd on stderr."""
    for warning in result.warnings:
        say(f"note: {warning}")
    say(f"{result.predictions:,} predictions, {result.instances:,} instances")
    console = Console()
    for table in tables:
        console.print(table)


def detection_tables(result: DetectionResult) -> list[Table]:
    """The figures in per cent."""
    ap = result.average_precision
    main = Table(title=f"% over {len(ap.classes)} classes")
    main.add_column("tIoU")
    main.add_column("mAP", justify="right")
    for k in result.recall.k if result.recall else ():
        main.add_column(f"Recall@{k}x", justify="right")
    for i, threshold in enumerate(ap.tiou):
        recalls = [] if result.recall is None else [percent(value) for value in result.recall.recall[i]]
        main.add_row(threshold_name(threshold), percent(ap.by_tiou[i]), *recalls, end_section=i + 1 == len(ap.tiou))
    averages = [] if result.recall is None else [percent(value) for value in result.recall.recall.mean(axis=0)]
    main.add_row("average", f"[bold]{percent(ap.mean)}[/bold]", *averages)
    tables = [main]
    if result.diagnosis is not None:
        errors = Table(title=f"Errors at tIoU {threshold_name(result.diagnosis.tiou)}")
        for column in ("kind", "count", "mAP gained without, points", "share of the error, %"):
            errors.add_column(column, justify="left" if column == "kind" else "right")
        for kind, count in result.diagnosis.count.items():
            gain, share = result.diagnosis.gain[kind], result.diagnosis.share[kind]
            errors.add_row(kind, str(count), percent(gain), percent(share))
        lengths = Table(title="Average mAP by instance length")
        for column in ("length", "seconds", "instances", "mAP, %"):
            lengths.add_column(column, justify="left" if column == "length" else "right")
        for one in result.lengths:
            mean = "–" if one.mean is None else percent(one.mean)
            span = f"above {one.low:g}" if one.high == float("inf") else f"{one.low:g} to {one.high:g}"
            lengths.add_row(escape(one.name), span, str(one.instances), mean)
        tables += [errors, lengths]
    return tables


def proposal_table(result: ProposalResult) -> Table:
    """The figures in per cent."""
    values = result.to_json()
    table = Table(title="average recall, %")
    for number in values["AR"]:
        table.add_column(f"AR@{number}", justify="right")
    table.add_column("AUC", justify="right")
    table.add_row(*map(percent, values["AR"].values()), f"[bold]{values['AUC']:.2f}[/bold]")
    return table
