"""The page that `sola report` writes: a summary, each study, the explorer, training curves."""

from collections.abc import Sequence
from importlib.metadata import version

from sola.evaluation.tables import seeds_text
from sola.report.explorer import Explorer, explore
from sola.report.material import Material
from sola.report.page import Page, Section
from sola.report.sources import Study, TrainedRun
from sola.report.study import study_section, summary_section, training_section


def report_page(
    studies: Sequence[Study],
    runs: Sequence[TrainedRun],
    material: Material,
    *,
    title: str | None = None,
    videos: int = 12,
) -> Page:
    """Assemble the page.

    Args:
        studies: studies.
        runs: training runs.
        material: annotations, detections and features for the explorer.
        title: title of the page.
        videos: maximum number of videos in the explorer.

    Raises SolaError if the explorer's sources have no video in common, or a feature file is bad.
    """
    explorer = None if material.empty else explore(material, videos=videos)
    sections = []
    if studies:
        sections.append(summary_section(studies))
    sections += [study_section(one, f"experiment-{number}") for number, one in enumerate(studies, 1)]
    kinds = ("module", "detector")
    training = training_section({kind: {run.name: run.log() for run in runs if run.kind == kind} for kind in kinds})
    appendix = [] if training is None else [training]
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
    parts = [
        f"{count} {what}{'s' if count != 1 else ''}"
        for count, what in ((len(studies), "experiment"), (len(runs), "training run"))
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


def _colophon(studies: Sequence[Study], runs: Sequence[TrainedRun], material: Material) -> dict[str, str]:
    """Sources of the page."""
    sources: dict[str, str] = {}
    for study in studies:
        data = study.result.data
        sources[study.result.experiment] = (
            f"{', '.join(map(str, data.features))}; annotations {data.annotations}; trained on {data.train_subset!r}, "
            f"measured on {data.test_subset!r}; {seeds_text(study.result.seeds)}"
        )
    sources |= {run.name: str(run.folder) for run in runs}
    if material.annotations is not None:
        sources["subset"] = material.subset
    return sources | {"sola": version("sola-tal")}
