"""The page that `sola report` writes: a summary, each experiment, the explorer, the trainings."""

from collections.abc import Sequence
from importlib.metadata import version

from sola.report.experiment import curves, section, summary, told_seeds
from sola.report.explorer import Explorer, explore
from sola.report.gathering import Material
from sola.report.page import Page, Section
from sola.report.sources import Experiment, TrainedRun


def full_report(
    experiments: Sequence[Experiment],
    runs: Sequence[TrainedRun],
    material: Material,
    *,
    title: str | None = None,
    videos: int = 12,
) -> Page:
    """Put the page together; `videos` is how many the explorer holds at most.

    Raises SolaError when the explorer's sources have no video in common, or a feature file is bad.
    """
    explorer = None if material.empty else explore(material, videos=videos)
    sections = []
    if experiments:
        sections.append(summary(experiments))
    sections += [section(one, f"experiment-{number}") for number, one in enumerate(experiments, 1)]
    appendix = _trainings(runs)
    if material.notes:
        appendix.append(Section("Left out", notes=material.notes))
    return Page(
        title=title or _title(experiments, runs),
        lead=_lead(experiments, runs, explorer),
        figures=(),
        sections=sections,
        colophon=_colophon(experiments, runs, material),
        explorer=explorer,
        appendix=appendix,
    )


def _title(experiments: Sequence[Experiment], runs: Sequence[TrainedRun]) -> str:
    if len(experiments) == 1:
        return experiments[0].result.title
    if experiments:
        return f"SoLa: {len(experiments)} experiments"
    return ", ".join(run.name for run in runs[:3]) or "Detections and features"


def _lead(experiments: Sequence[Experiment], runs: Sequence[TrainedRun], explorer: Explorer | None) -> str:
    parts = [
        f"{count} {what}{'s' if count != 1 else ''}"
        for count, what in ((len(experiments), "experiment"), (len(runs), "training run"))
        if count
    ]
    if explorer is not None:
        found, features = len(explorer.data["runs"]), len(explorer.data["features"])
        looked = [f"the detections of {found} run{'s' if found != 1 else ''}"] if found else []
        looked += [f"{features} feature set{'s' if features != 1 else ''}"] if features else []
        count = explorer.shown
        parts.append(f"{' and '.join(looked)} in {count} video{'s' if count != 1 else ''}")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}. This page holds everything in itself." if text else ""


def _trainings(runs: Sequence[TrainedRun]) -> list[Section]:
    """Training curves of runs that were named by themselves."""
    logs = {kind: {run.name: run.log() for run in runs if run.kind == kind} for kind in ("module", "head")}
    charts = [chart for kind, of in logs.items() for chart in curves(of, f"{kind}: ")]
    return [Section("Training", charts=charts, anchor="training")] if charts else []


def _colophon(experiments: Sequence[Experiment], runs: Sequence[TrainedRun], material: Material) -> dict[str, str]:
    """What the page was made of."""
    made: dict[str, str] = {}
    for experiment in experiments:
        data = experiment.result.data
        made[experiment.result.experiment] = (
            f"{', '.join(data.features)}; annotations {data.annotations}; trained on {data.train_subset!r}, "
            f"measured on {data.test_subset!r}; {told_seeds(experiment.result)}"
        )
    made |= {run.name: str(run.folder) for run in runs}
    if material.annotations is not None:
        made["subset"] = material.subset
    return made | {"sola": version("sola-tal")}
