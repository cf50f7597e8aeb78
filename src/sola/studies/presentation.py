"""A study's result on disk: JSON, a Markdown table and plots, each written atomically."""

from pathlib import Path

from matplotlib.figure import Figure

from sola.core.files import write_text
from sola.evaluation.results import RESULT, StudyResult
from sola.evaluation.tables import main_metric, study_markdown
from sola.report.plots import assumption_panels, curve_plot, error_bar_plot, similarity_panels, training_panels
from sola.report.saving import write_plot
from sola.training.run import Run


def write_study(result: StudyResult, folder: Path, workspace: Path) -> list[Path]:
    """Write result.json, table.md and the plots; return the paths, result.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in study_plots(result, workspace).items():
        written.append(folder / f"{name}.png")
        write_plot(written[-1], plot)
    write_text(folder / "table.md", study_markdown(result))
    result.write(folder / RESULT)
    return [*written, folder / "table.md", folder / RESULT]


def study_plots(result: StudyResult, workspace: Path) -> dict[str, Figure]:
    """Error bars of every group's main metric; section C's curves; Table 6's training curves."""
    plots = {}
    groups = list(dict.fromkeys(row.group for row in result.rows))
    for group in groups:
        metric = next(one for one in result.metrics if one.key == main_metric(group))
        best = result.best_control(metric.key, group)
        name = "error-bars" if len(groups) == 1 else f"error-bars-{group}"
        plots[name] = error_bar_plot(result.group(group), metric, best)
    if result.curves is not None:
        plots["similarity-distance"] = curve_plot(similarity_panels(result.curves))
        plots["assumption-share"] = curve_plot(assumption_panels(result.curves))
    if result.stability:
        first = {row.name: row.modules[0] for row in result.rows if row.modules}
        logs = {name: Run(workspace / run).rows() for name, run in first.items()}
        plots["stability"] = curve_plot(training_panels(logs))
    return plots
