"""The tables that `sola evaluate` prints."""

from rich.markup import escape
from rich.table import Table

from sola.evaluation.detections import DetectionResult, ProposalResult, threshold_name
from sola.evaluation.tables import percent


def detection_tables(result: DetectionResult) -> list[Table]:
    """Return mAP and recall, errors, and mAP by instance length, in percent."""
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
        for group in result.lengths:
            mean = "–" if group.mean is None else percent(group.mean)
            high = f"{group.low:g} to {group.high:g}"
            seconds = f"above {group.low:g}" if group.high == float("inf") else high
            lengths.add_row(escape(group.name), seconds, str(group.instances), mean)
        tables += [errors, lengths]
    return tables


def proposal_table(result: ProposalResult) -> Table:
    """Return average recall in percent, and the area under its curve."""
    values = result.to_json()
    table = Table(title="average recall, %")
    for number in values["AR"]:
        table.add_column(f"AR@{number}", justify="right")
    table.add_column("AUC", justify="right")
    table.add_row(*map(percent, values["AR"].values()), f"[bold]{values['AUC']:.2f}[/bold]")
    return table
