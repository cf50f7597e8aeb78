"""The tables that `sola evaluate` prints."""

from rich.markup import escape
from rich.table import Table

from sola.evaluation.actions import ActionResult
from sola.evaluation.detections import DetectionResult, ProposalResult, threshold_name
from sola.evaluation.frames import FrameMapResult, SegmentationResult
from sola.evaluation.metrics.segmentation import OVERLAPS
from sola.evaluation.tables import percent


def detection_tables(result: DetectionResult) -> list[Table]:
    """Return tables of mAP and recall, of errors, and of mAP by instance length, in percent."""
    ap, recall = result.average_precision, result.recall
    recalls = [f"Recall@{k}x" for k in recall.k] if recall else []
    tables = [_table(f"% over {len(ap.classes)} classes", "tIoU", "mAP", *recalls)]
    for i, threshold in enumerate(ap.tiou):
        tables[0].add_row(
            threshold_name(threshold), *map(percent, (ap.by_tiou[i], *(recall.recall[i] if recall else ())))
        )
    tables[0].add_section()
    averages = map(percent, recall.recall.mean(axis=0) if recall else ())
    tables[0].add_row("average", f"[bold]{percent(ap.mean)}[/bold]", *averages)
    if result.diagnosis is not None:
        columns = ("kind", "count", "mAP gained without, points", "share of the error, %")
        tables.append(_table(f"Errors at tIoU {threshold_name(result.diagnosis.tiou)}", *columns))
        for kind, count in result.diagnosis.count.items():
            gain, share = result.diagnosis.gain[kind], result.diagnosis.share[kind]
            tables[-1].add_row(kind, str(count), percent(gain), percent(share))
        tables.append(_table("Average mAP by instance length", "length", "seconds", "instances", "mAP, %"))
        for group in result.lengths:
            mean = "–" if group.mean is None else percent(group.mean)
            seconds = f"above {group.low:g}" if group.high == float("inf") else f"{group.low:g} to {group.high:g}"
            tables[-1].add_row(escape(group.name), seconds, str(group.instances), mean)
    return tables


def proposal_table(result: ProposalResult) -> Table:
    """Return average recall in percent, and the area under its curve."""
    values = result.to_json()
    table = Table(title="average recall, %")
    for column in (*(f"AR@{number}" for number in values["AR"]), "AUC"):
        table.add_column(column, justify="right")
    table.add_row(*map(percent, values["AR"].values()), f"[bold]{values['AUC']:.2f}[/bold]")
    return table


def segmentation_table(result: SegmentationResult) -> Table:
    """Return frame accuracy, Edit score and F1 in percent."""
    figures = result.figures
    table = Table(title="% of one class a frame")
    for column in ("accuracy", "Edit", *(f"F1@{100 * overlap:.0f}" for overlap in OVERLAPS)):
        table.add_column(column, justify="right")
    table.add_row(*map(percent, (figures.accuracy, figures.edit, *figures.f1)))
    return table


def frame_table(result: FrameMapResult) -> Table:
    """Return the mAP over frames in percent."""
    table = _table(f"% over {len(result.classes)} classes", "per frame", "mAP")
    table.add_row("mean", f"[bold]{percent(result.map)}[/bold]")
    return table


def action_table(result: ActionResult) -> Table:
    """Return the mAP of verbs, nouns and actions by threshold, in percent."""
    levels = next(iter(result.parts.values())).average_precision.tiou
    table = _table("mAP, %", "classes", *map(threshold_name, levels), "average")
    for name, part in result.parts.items():
        table.add_row(name, *map(percent, part.average_precision.by_tiou), f"[bold]{percent(part.average_map)}[/bold]")
    return table


def _table(title: str, names: str, *numbers: str) -> Table:
    """Return an empty table with a column of names and columns of numbers."""
    table = Table(title=title)
    table.add_column(names)
    for column in numbers:
        table.add_column(column, justify="right")
    return table
