"""Presentation of a study on a page and on disk: main finding, tables, error bars and curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sola.core.files import write_text
from sola.evaluation.results import RESULT, Kind, Metric, Results, StudyResult
from sola.evaluation.statistics import Summary
from sola.evaluation.tables import (
    difference,
    interval,
    main_metric,
    mean_and_std,
    p_value,
    percent,
    seeds_text,
    significance,
    study_markdown,
    verdict,
)
from sola.report.page import Cell, Finding, Plot, Section, Table
from sola.report.plots import (
    Panel,
    assumption_panels,
    curve_plot,
    error_bar_plot,
    similarity_panels,
    training_panels,
)
from sola.report.saving import write_plot
from sola.report.sources import RUN_KINDS, Study

GROUPS: Mapping[Kind, str] = {
    "raw": "Raw features",
    "control": "Controls: no training, or no learning",
    "compared": "Compared",
}


def headline(result: Results, group: str) -> Metric | None:
    """Return the metric of a group's main finding, or None if there are no metrics."""
    wanted = [metric for metric in result.metrics if metric.key == main_metric(group)]
    return next(iter((*wanted, *result.metrics)), None)


def finding(result: StudyResult) -> list[str]:
    """Return the main finding, one sentence per group. It says "significant" only if the comparison is."""
    groups = dict.fromkeys(row.group for row in result.rows)
    sentences = [_sentence(result, group, metric) for group in groups if (metric := headline(result, group))]
    sentences = [sentence for sentence in sentences if sentence]
    if not sentences and result.curves is not None:
        return ["Curves without a test: see below."]
    return sentences or ["Nothing was measured."]


def _sentence(result: StudyResult, group: str, metric: Metric) -> str:
    rows = {row.name: row for row in result.group(group) if metric.key in row.summaries}
    compared = [row for row in rows.values() if row.kind == "compared"]
    if not compared:
        return ""
    best = max(compared, key=lambda row: row.mean(metric.key))
    text = f"{metric.title}: {best.name} {'is the best of the compared rows with' if len(compared) > 1 else 'has'} "
    text += f"{percent(best.mean(metric.key))} %"
    tests = [c for c in result.comparisons if c.row == best.name and c.metric == metric.key and c.against in rows]
    for kind in ("raw", "control"):
        against = [c for c in tests if rows[c.against].kind == kind]
        if against:
            test = max(against, key=lambda c: rows[c.against].mean(metric.key))
            name = "raw features"
            if kind == "control":
                is_best = test.against == result.best_control(metric.key, group)
                name = f"the {'best ' if is_best else ''}control ({test.against})"
            text += f"; against {name} {difference(test)}, {verdict(test)}"
    return text + ("." if tests else "; not tested against anything.")


def summary_section(studies: Sequence[Study]) -> Section:
    """Return a section with the title and main finding of each study."""
    findings = [
        Finding(
            study.result.title,
            seeds_text(study.result.seeds) + (" · rehearsal (--quick), not a result" if study.result.quick else ""),
            finding(study.result),
        )
        for study in studies
    ]
    return Section("Summary", findings=findings, anchor="summary")


def study_section(study: Study, anchor: str) -> Section:
    """Return the section of one study."""
    result = study.result
    rehearsal = "A rehearsal with shortened training: not a result." if result.quick else ""
    tables = [result_table(result, result.seeds)] if result.rows and result.metrics else []
    if result.comparisons:
        tables.append(comparison_table(result))
    return Section(
        result.title,
        [paragraph for paragraph in (result.lead, rehearsal) if paragraph],
        tables=tables,
        plots=[*error_bars(result), *map(panel_plot, study_panels(study))],
        notes=result.notes,
        anchor=anchor,
    )


def result_table(result: Results, seeds: int) -> Table:
    """Return the table of results: mean ± deviation over seeds, interval, and published values below.

    The rows are ordered raw, controls, compared.
    """
    rows: list[Sequence[str | Cell]] = []
    groups: dict[int, str] = {}
    before = ""
    for row in result.ordered():
        if row.kind != before:
            groups[len(rows)] = GROUPS[row.kind]
            before = row.kind
        rows.append([row.name, *(_cell(row.summaries.get(metric.key)) for metric in result.metrics)])
        if row.published:
            figures = [percent(row.published[m.key]) if m.key in row.published else "" for m in result.metrics]
            name = "published" if row.comparable else "published, not comparable"
            rows.append([Cell(text, faint=True) for text in (name, *figures)])
    return Table(
        ["features", *(f"{metric.title}, %" for metric in result.metrics)],
        rows,
        f"Mean ± standard deviation over {seeds_text(seeds)}"
        + ("; below it, the 95 % confidence interval over test videos." if _has_intervals(result) else "."),
        strong=[row.name for row in result.rows if row.kind == "compared"],
        groups=groups,
    )


def _cell(summary: Summary | None) -> Cell:
    """Return a cell with mean ± deviation and the interval."""
    return Cell("–") if summary is None else Cell(mean_and_std(summary), small=interval(summary.interval))


def comparison_table(result: Results) -> Table:
    """Return the table of all comparisons."""
    titles = {metric.key: metric.title for metric in result.metrics}
    return Table(
        ("features", "against", "metric", "difference", "p, corrected", "verdict"),
        [
            (c.row, c.against, titles.get(c.metric, c.metric), difference(c), p_value(c.p_corrected), significance(c))
            for c in result.comparisons
        ],
        "Paired over test videos; p is corrected for the number of comparisons.",
        folded="All comparisons",
    )


def error_bars(result: Results) -> list[Plot]:
    """Return one plot per metric; only the plot of the headline metric is not collapsed."""
    groups = {row.group for row in result.rows}
    main = headline(result, result.rows[0].group if result.rows else "")
    key = "Dot: mean; thick bar: ± standard deviation over seeds; "
    key += "thin bar: 95 % interval over test videos; " if _has_intervals(result) else ""
    key += "dashed: raw features and the best control." if len(groups) == 1 else "dashed: raw features."
    plots = []
    for metric in sorted(result.metrics, key=lambda metric: metric is not main):
        rows = [row for row in result.ordered() if metric.key in row.summaries]
        if rows:
            values = "; ".join(f"{row.name} {mean_and_std(row.summaries[metric.key])}" for row in rows)
            best = result.best_control(metric.key, *groups) if len(groups) == 1 else None
            folded = "" if metric is main else f"{metric.title}, %"
            plots.append(Plot(error_bar_plot(rows, metric, best), f"{metric.title}, %: {values}.", key, folded))
    return plots


def _has_intervals(result: Results) -> bool:
    return any(summary.interval for row in result.rows for summary in row.summaries.values())


def study_panels(study: Study) -> list[Panel]:
    """Return the curves of section C and the training curves of modules and detectors with the first seed."""
    curves = study.result.curves
    panels = [] if curves is None else [*similarity_panels(curves), *assumption_panels(curves)]
    return panels + [panel for kind in RUN_KINDS for panel in training_panels(study.logs(kind), f"{kind}: ")]


def panel_plot(panel: Panel) -> Plot:
    """Return the plot of one panel."""
    return Plot(curve_plot([panel]), panel.description)


def write_study(study: Study) -> list[Path]:
    """Write table.md, result.json and the plots to the study's folder. Return the paths, result.json last."""
    result = study.result
    folder = study.out / result.experiment
    folder.mkdir(parents=True, exist_ok=True)
    plots: dict[str, Figure] = {}
    groups = list(dict.fromkeys(row.group for row in result.rows))
    for group in groups:
        metric = headline(result, group)
        assert metric is not None
        name = "error-bars" if len(groups) == 1 else f"error-bars-{group}"
        plots[name] = error_bar_plot(result.group(group), metric, result.best_control(metric.key, group))
    if result.curves is not None:
        plots["similarity-distance"] = curve_plot(similarity_panels(result.curves))
        plots["assumption-share"] = curve_plot(assumption_panels(result.curves))
    if result.stability:
        plots["stability"] = curve_plot(training_panels(study.logs("module")))
    for name, plot in plots.items():
        write_plot(folder / f"{name}.png", plot)
    write_text(folder / "table.md", study_markdown(result))
    result.write(folder / RESULT)
    return [folder / name for name in (*(f"{name}.png" for name in plots), "table.md", RESULT)]
