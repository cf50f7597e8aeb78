"""Formatting of percentages, p-values, verdicts and the table of a study."""

from collections.abc import Sequence

from sola.evaluation.results import Comparison, Results, Row, StudyResult
from sola.evaluation.statistics import Summary

MAIN_METRICS = {"bmn": "AUC", "assumption": "assumption_share"}
"""Main metric by group of rows; average mAP for all other groups."""


def percent(fraction: float, *, signed: bool = False) -> str:
    """Format a fraction as a percentage with two decimals.

    >>> percent(0.3499), percent(0.012, signed=True), percent(-0.012)
    ('34.99', '+1.20', '−1.20')
    """
    return f"{100 * fraction:{'+' if signed else ''}.2f}".replace("-", "−")


def mean_and_std(summary: Summary) -> str:
    """Format the mean as a percentage, with the standard deviation over seeds unless it is 0."""
    return percent(summary.mean) + (f" ± {percent(summary.std)}" if summary.std else "")


def interval(ends: tuple[float, float] | None, *, signed: bool = False) -> str:
    """Format an interval in percent, or return an empty string for None."""
    return "" if ends is None else "[{}, {}]".format(*(percent(end, signed=signed) for end in ends))


def p_value(p: float) -> str:
    """Format a p-value with three decimals.

    >>> p_value(0.0004), p_value(0.012), p_value(1.0)
    ('<.001', '.012', '1.000')
    """
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def p_statement(p: float) -> str:
    """Format a p-value as "p < .001" or "p = .012"."""
    return "p < .001" if p < 0.001 else f"p = {p_value(p)}"


def difference(comparison: Comparison) -> str:
    """Format a difference and its interval in percentage points."""
    return f"{percent(comparison.difference, signed=True)} {interval(comparison.interval, signed=True)}"


def significance(comparison: Comparison) -> str:
    """Return "significant" or "not significant", after correction."""
    return "significant" if comparison.significant else "not significant"


def verdict(comparison: Comparison) -> str:
    """Return the significance of a difference with the corrected p-value."""
    return f"{significance(comparison)} ({p_statement(comparison.p_corrected)}, corrected)"


def short_verdict(comparison: Comparison | None) -> str:
    """Format a difference with its p-value for a table cell."""
    if comparison is None:
        return ""
    statement = p_statement(comparison.p_corrected) + (", significant" if comparison.significant else "")
    return f"{percent(comparison.difference, signed=True)} ({statement})"


def arrow(comparison: Comparison | None) -> str:
    """Format the sign of a difference and its p-value as rich markup, bold if significant."""
    if comparison is None:
        return ""
    sign = "↑" if comparison.difference > 0 else "↓" if comparison.difference < 0 else "="
    text = f"{sign} {p_value(comparison.p_corrected)}"
    return f"[bold]{text}[/bold]" if comparison.significant else text


def seeds_text(seeds: int) -> str:
    """Format a number of seeds."""
    return f"{seeds} seed{'s' if seeds != 1 else ''}"


def row_name(row: Row, best_control: str | None) -> str:
    """Return the name of a row, with a mark if it is the best control."""
    return f"{row.name} (best control)" if row.name == best_control else row.name


def main_metric(group: str) -> str:
    """Return the key of the main metric of a group of rows."""
    return MAIN_METRICS.get(group, "average_mAP")


def study_lead(results: Results, seeds: int, videos: int) -> str:
    """Summarize a study in two sentences; differences count only if they are significant."""
    sentences = []
    for row in results.rows:
        if row.kind != "compared":
            continue
        others = [other for other in results.group(row.group) if other.kind != "compared"]
        tests = [results.comparison(row.name, other.name, main_metric(row.group)) for other in others]
        significant = [test.difference for test in tests if test is not None and test.significant]
        ahead, behind = sum(value > 0 for value in significant), sum(value < 0 for value in significant)
        sentences.append(f"{row.name}: significantly ahead of {ahead} and behind {behind} of {len(others)} rows")
    return (
        f"{seeds_text(seeds)}, {videos} test videos; paired bootstrap over them, Holm-corrected. "
        + "; ".join(sentences)
        + "."
    )


def study_markdown(result: StudyResult) -> str:
    """Return the Markdown table of a study: mean ± deviation over seeds (percent), verdicts, and published values."""
    lines = [f"# {result.title}", "", result.lead, ""]
    head = ["", *(metric.title for metric in result.metrics), "against raw", "against the best control"]
    lines += [_line(head), _line(["---"] * len(head))]
    for row in result.rows:
        cells = [mean_and_std(row.summaries[metric.key]) for metric in result.metrics]
        metric = main_metric(row.group)
        raw = next((other.name for other in result.group(row.group) if other.kind == "raw"), None)
        against = (raw, result.best_control(metric, row.group))
        verdicts = [short_verdict(result.comparison(row.name, other, metric)) for other in against]
        lines.append(_line([row.name, *cells, *verdicts]))
    published = {row.name: row.published for row in result.rows if row.published}
    if published:
        same = all(row.comparable for row in result.rows if row.published)
        note = "the same annotations; the authors' features" if same else "**not comparable**: other data than these"
        lines += ["", f"Published (ActivityNet-1.3; {note}):", ""]
        keys = list(dict.fromkeys(key for reported in published.values() for key in reported))
        lines += [_line(["", *keys]), _line(["---"] * (1 + len(keys)))]
        for name, reported in published.items():
            lines.append(_line([name, *(percent(reported[key]) if key in reported else "" for key in keys)]))
    lines += ["", *(f"- {note}" for note in result.notes)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
