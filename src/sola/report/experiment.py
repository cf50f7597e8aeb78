"""An experiment on a page: its finding in words, its table, its error bars and its curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from sola.report.page import Cell, Finding, Section, Table, probability
from sola.report.plots import Chart, Dots, DotValue, chart, dots
from sola.report.result import Comparison, Measured, Metric, Result, Row
from sola.report.sources import Experiment

HEADLINES = ("average_mAP", "AUC")
"""The metrics that a finding is told in, the first one that was measured; of proposals (BMN) the last."""
KINDS = {"raw": "Raw features", "control": "Controls: no training, or no learning", "compared": "Compared"}
PANELS = {
    "loss": "loss",
    "gate": "gate",
    "feature_std": "spread of the features (1 = even)",
    "effective_rank": "effective rank",
}
"""What a log may hold, and what it is called."""
NONE = "–"


def headline(result: Result, group: str = "") -> Metric | None:
    """The metric that the finding of a group of rows is told in; None where nothing was measured."""
    metrics = {metric.key: metric for metric in result.metrics}
    wanted = reversed(HEADLINES) if group == "bmn" else HEADLINES
    return next((metrics[key] for key in wanted if key in metrics), next(iter(result.metrics), None))


def shown(value: float, metric: Metric, *, signed: bool = False) -> str:
    """A fraction as the metric is shown, without its unit.

    >>> shown(0.3499, Metric("average_mAP", "average mAP")), shown(0.012, Metric("a", "a"), signed=True)
    ('34.99', '+1.20')
    """
    text = f"{100 * value:+.2f}" if metric.percent else f"{value:+.4g}"
    return (text if signed else text.removeprefix("+")).replace("-", "−")


def finding(result: Result) -> list[str]:
    """The main finding, a sentence a head; "significant" stands where the comparison says so, and nowhere else."""
    groups = dict.fromkeys(row.group for row in result.rows)
    sentences = [_told(result, group, metric) for group in groups if (metric := headline(result, group)) is not None]
    sentences = [sentence for sentence in sentences if sentence]
    if not sentences and result.curves is not None:
        return ["Curves, nothing that is tested: see below."]
    return sentences or ["Nothing was measured."]


def _told(result: Result, group: str, metric: Metric) -> str:
    rows, mean = {}, {}
    for row in result.rows:
        figures = row.figures.get(metric.key)
        if row.group == group and figures is not None:
            rows[row.name], mean[row.name] = row, figures.mean
    compared = [name for name in rows if rows[name].kind == "compared"]
    if not compared:
        return ""
    best = max(compared, key=mean.__getitem__)
    unit = " %" if metric.percent else ""
    text = f"{metric.title}: {best} {'is best of what is compared at' if len(compared) > 1 else 'has'} "
    text += f"{shown(mean[best], metric)}{unit}"
    tested = [c for c in result.comparisons if c.row == best and c.metric == metric.key and c.against in rows]
    for kind, what in (("raw", "raw features"), ("control", "the best control")):
        against = [c for c in tested if rows[c.against].kind == kind]
        if against:
            one = max(against, key=lambda c: mean[c.against])
            strongest = max(mean[name] for name in rows if rows[name].kind == kind)
            if kind == "control" and mean[one.against] < strongest:  # the best one was not compared with
                what = "the control"
            named = what if kind == "raw" else f"{what} ({one.against})"
            text += f"; against {named} {difference(one, metric)}, {verdict(one)}"
    return text + ("." if tested else "; not tested against anything.")


def difference(comparison: Comparison, metric: Metric) -> str:
    """The difference with its interval."""
    text = shown(comparison.difference, metric, signed=True)
    if comparison.interval is not None:
        low, high = (shown(end, metric, signed=True) for end in comparison.interval)
        text += f" [{low}, {high}]"
    return text


def verdict(comparison: Comparison) -> str:
    """Whether it is significant, and its p-value."""
    said = "significant" if comparison.significant else "not significant"
    if comparison.p_corrected is None:
        return said
    return f"{said} (p {probability({'p_corrected': comparison.p_corrected})}, corrected)"


def summary(experiments: Sequence[Experiment]) -> Section:
    """A finding an experiment: what it is, what came out."""
    findings = [
        Finding(
            one.result.title,
            told_seeds(one.result) + (" · rehearsal (--quick), no result" if one.result.quick else ""),
            finding(one.result),
        )
        for one in experiments
    ]
    return Section("What came out", findings=findings, anchor="summary")


def told_seeds(result: Result) -> str:
    """How many seeds."""
    return f"{result.seeds} seed{'s' if result.seeds != 1 else ''}"


def section(experiment: Experiment, anchor: str) -> Section:
    """All of one experiment."""
    result = experiment.result
    paragraphs = [result.lead, *(["A rehearsal with shortened trainings: no result."] if result.quick else [])]
    tables = [table(result)] if result.rows and result.metrics else []
    if result.comparisons:
        tables.append(comparison_table(result))
    charts = [*section_c(result), *training_charts(experiment)]
    return Section(
        result.title,
        [paragraph for paragraph in paragraphs if paragraph],
        tables=tables,
        dots=error_bars(result),
        charts=charts,
        notes=list(result.notes),
        anchor=anchor,
    )


def table(result: Result) -> Table:
    """Rows in the order raw, controls, compared: mean ± deviation over seeds, interval; published figures below."""
    rows: list[Sequence[str | Cell]] = []
    groups: dict[int, str] = {}
    before = ""
    for row in result.ordered():
        if row.kind != before:
            groups[len(rows)] = KINDS[row.kind]
            before = row.kind
        rows.append([row.name, *(cell(row.figures.get(metric.key), metric) for metric in result.metrics)])
        if any(value is not None for value in (row.published or {}).values()):
            rows.append(published(row, result.metrics))
    return Table(
        ["features", *(metric.title + (", %" if metric.percent else "") for metric in result.metrics)],
        rows,
        f"Mean ± standard deviation over {told_seeds(result)}; below it the 95 % interval over the test videos.",
        strong=[row.name for row in result.rows if row.kind == "compared"],
        groups=groups,
    )


def cell(figures: Measured | None, metric: Metric) -> Cell:
    """Mean ± deviation, and the interval."""
    if figures is None:
        return Cell(NONE)
    return Cell(mean_and_spread(figures, metric), small=interval(figures, metric))


def mean_and_spread(figures: Measured, metric: Metric) -> str:
    """The mean, and with several seeds their deviation."""
    spread = f" ± {shown(figures.std, metric)}" if len(figures.values) > 1 else ""
    return f"{shown(figures.mean, metric)}{spread}"


def interval(figures: Measured, metric: Metric) -> str:
    """The interval, or nothing where there is none."""
    if figures.interval is None:
        return ""
    return "[{}, {}]".format(*(shown(end, metric) for end in figures.interval))


def published(row: Row, metrics: Sequence[Metric]) -> list[Cell]:
    """What the paper reports for a row, and whether it may be compared."""
    values = [(row.published or {}).get(metric.key) for metric in metrics]
    cells = ["" if value is None else shown(value, metric) for value, metric in zip(values, metrics, strict=True)]
    name = "published" if row.comparable else "published, not comparable"
    return [Cell(text, faint=True) for text in (name, *cells)]


def comparison_table(result: Result) -> Table:
    """Every comparison that was made."""
    metrics = {metric.key: metric for metric in result.metrics}
    rows = [
        (
            one.row,
            one.against,
            metrics[one.metric].title if one.metric in metrics else one.metric,
            difference(one, metrics.get(one.metric, Metric(one.metric, one.metric))),
            NONE if one.p_corrected is None else probability({"p_corrected": one.p_corrected}).removeprefix("= "),
            "significant" if one.significant else "not significant",
        )
        for one in result.comparisons
    ]
    return Table(
        ("features", "against", "metric", "difference", "p, corrected", "verdict"),
        rows,
        "Paired over the test videos; p is corrected for the number of comparisons.",
        folded="All comparisons",
    )


def error_bars(result: Result) -> list[Dots]:
    """A dot plot a metric, the telling one first."""
    plots = []
    telling = headline(result, result.rows[0].group if result.rows else "")
    for metric in sorted(result.metrics, key=lambda metric: metric is not telling):
        values = [
            DotValue(
                row.name,
                row.kind,
                scaled(figures.mean, metric),
                scaled(figures.std, metric),
                None
                if figures.interval is None
                else (scaled(figures.interval[0], metric), scaled(figures.interval[1], metric)),
                f"{mean_and_spread(figures, metric)} {interval(figures, metric)}".strip(),
            )
            for row in result.ordered()
            if (figures := row.figures.get(metric.key)) is not None
        ]
        if values:
            plots.append(dots(metric.title + (", %" if metric.percent else ""), values))
    return plots


def scaled(value: float, metric: Metric) -> float:
    """A fraction in the unit of the plot."""
    return 100 * value if metric.percent else value


def section_c(result: Result) -> list[Chart]:
    """Similarity against distance, and the share of windows that obey."""
    if result.curves is None:
        return []
    titles = {"whole": "cosine similarity, whole videos", "windows": "cosine similarity, sampled windows"}
    charts = [
        chart(titles.get(part, part), "temporal distance, snippets", lines, gray="raw")
        for part, lines in result.curves.similarity.items()
        if any(len(line[0]) for line in lines.values())
    ]
    if any(len(line[0]) for line in result.curves.obedience.values()):
        lines = result.curves.obedience
        title = "share of windows that obey (level line: chance)"
        charts.append(chart(title, "window, snippets", lines, gray="raw", logarithmic=True, reference=0.5))
    return charts


def training_charts(experiment: Experiment) -> list[Chart]:
    """The curves of each row's module, and the loss of each row's head, of the first seed."""
    modules, heads = experiment.logs("modules"), experiment.logs("heads")
    return [*curves(modules, "module: "), *curves(heads, "head: ")]


def curves(logs: Mapping[str, Sequence[Mapping[str, Any]]], prefix: str = "") -> list[Chart]:
    """A chart for each figure that the logs hold, over the epochs."""
    charts = []
    for key, title in PANELS.items():
        lines = {
            name: ([row["epoch"] for row in rows if key in row], [row[key] for row in rows if key in row])
            for name, rows in logs.items()
            if any(key in row for row in rows)
        }
        if lines:
            charts.append(chart(f"{prefix}{title}", "epoch", lines, gray="raw"))
    return charts
