"""Assembly of the page that `sola report` writes."""

from collections.abc import Sequence
from importlib.metadata import version

from sola.core.log import counted
from sola.evaluation.tables import seeds_text
from sola.report.explorer import Explorer, explore
from sola.report.material import Material
from sola.report.page import Page, Section
from sola.report.plots import training_panels
from sola.report.sources import RUN_KINDS, Study, TrainedRun
from sola.report.study import panel_plot, study_section, summary_section
from sola.training.run import Run


def report_page(
    studies: Sequence[Study],
    runs: Sequence[TrainedRun],
    material: Material,
    *,
    title: str | None = None,
    videos: int = 12,
) -> Page:
    """Assemble the page: summary, studies, explorer with at most `videos` videos, training curves.

    Raises SolaError if the sources of the explorer have no video in common or a feature file is bad.
    """
    explorer = None if material.empty else explore(material, videos=videos)
    sections = []
    if studies:
        sections.append(summary_section(studies))
    sections += [study_section(study, f"experiment-{number}") for number, study in enumerate(studies, 1)]
    appendix = []
    logs = {kind: {run.name: Run(run.folder).rows() for run in runs if run.kind == kind} for kind in RUN_KINDS}
    panels = [panel for kind, kind_logs in logs.items() for panel in training_panels(kind_logs, f"{kind}: ")]
    if panels:
        appendix.append(Section("Training", plots=[panel_plot(panel) for panel in panels], anchor="training"))
    if material.notes:
        appendix.append(Section("Left out", notes=material.notes))
    return Page(
        title=title or _title(studies, runs),
        lead=_lead(studies, runs, explorer),
        sections=sections,
        colophon=_colophon(studies, runs, material),
        explorer=explorer,
        appendix=appendix,
    )


def _title(studies: Sequence[Study], runs: Sequence[TrainedRun]) -> str:
    if len(studies) == 1:
        return studies[0].result.title
    if studies:
        return f"SoLa: {len(studies)} experiments"
    return ", ".join(run.name for run in runs[:3]) or "Detections and features"


def _lead(studies: Sequence[Study], runs: Sequence[TrainedRun], explorer: Explorer | None) -> str:
    """Return the counts of experiments, runs, feature sets and videos on the page."""
    parts = [_some(len(studies), "experiment"), _some(len(runs), "training run")]
    if explorer is not None:
        detecting, features = len(explorer.data["runs"]), len(explorer.data["features"])
        sources = [f"detections of {_some(detecting, 'run')}" if detecting else "", _some(features, "feature set")]
        parts.append(f"{' and '.join(filter(None, sources))} in {_some(explorer.shown, 'video')}")
    text = ", ".join(filter(None, parts))
    return f"{text[:1].upper()}{text[1:]}. This page is self-contained." if text else ""


def _some(number: int, noun: str) -> str:
    """Return a number with its noun; empty for 0."""
    return counted(number, noun) if number else ""


def _colophon(studies: Sequence[Study], runs: Sequence[TrainedRun], material: Material) -> dict[str, str]:
    """Return the sources of the page."""
    sources: dict[str, str] = {}
    for study in studies:
        data = study.result.data
        sources[study.result.experiment] = (
            f"{', '.join(map(str, data.features))}; annotations {data.annotations}; trained on {data.train_subset!r}, "
            f"evaluated on {data.test_subset!r}; {seeds_text(study.result.seeds)}"
        )
    sources |= {run.name: str(run.folder) for run in runs}
    if material.annotations is not None:
        sources["subset"] = material.subset
    return sources | {"sola": version("sola-tal")}
