"""The whole path on a data set, such as those that come with the package: train, transform, probe, inspect, draw."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sola.core.checks import at_least
from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset, Video
from sola.data.features import FeatureSet
from sola.evaluation.controls import center
from sola.evaluation.probe import probe
from sola.evaluation.probe_result import ProbeResult
from sola.evaluation.similarity import Video as VideoArray
from sola.evaluation.similarity import compare, cosine_map
from sola.evaluation.tables import mean_and_std, p_statement, percent, row_name
from sola.pipeline.transform_job import transform
from sola.report.page import Page, Plot, Section, Table
from sola.report.plots import (
    Panel,
    assumption_panels,
    curve_plot,
    error_bar_plot,
    similarity_map_plot,
    similarity_panels,
    study_curves,
    training_panels,
)
from sola.report.saving import png
from sola.softlanding.config import TrainingConfig
from sola.softlanding.train import train
from sola.softlanding.trained import TrainedModule
from sola.softlanding.transform import transform_array
from sola.training.run import Run

RUNS: dict[str, str] = {"SoLa, published": "anet", "SoLa, auto": "auto"}
"""Rows of the table, and the recipe of each."""

Say = Callable[[str], None]


def demo(out: Path, *, heading: str, seeds: int, few: int, say: Say) -> ProbeResult:
    """Run everything on `out/data`, and write `out/report.html`, `out/picture.png` and `out/probe.json`.

    Args:
        out: a folder that holds nothing but `data/features` and `data/annotations.json`.
        heading: of the page.
        seeds: modules trained with each recipe, and repetitions of the probe.
        few: labeled videos of the few-label probe.
        say: told what is going on.
    """
    at_least(1, seeds=seeds, few=few)
    data = Dataset.open(out / "data" / "features", out / "data" / "annotations.json")
    learned_from = data.subset("training").features

    transformed: dict[str, list[FeatureSet]] = {name: [] for name in RUNS}
    for name, recipe in RUNS.items():
        for seed in range(seeds):
            say(f"{name}: train without labels, seed {seed}")
            transformed[name].append(_soften(out, recipe, seed, data.features, learned_from))

    results = {}
    for title, videos in (("all labels", None), (f"labels of {few} videos", few)):
        say(f"linear evaluation beside the controls, {title}")
        results[title] = probe(data, transformed, solver="ridge", videos=videos, seeds=seeds)
    write_json(out / "probe.json", {title: result.to_json() for title, result in results.items()})

    say("inspect and draw")
    page = _page(out, heading, data, results)
    page.write(out / "report.html")
    return results["all labels"]


def _soften(out: Path, recipe: str, seed: int, features: FeatureSet, learned_from: FeatureSet) -> FeatureSet:
    """Train one module and transform all features with it."""
    run = out / "runs" / f"{recipe}-{seed}"
    module = train(learned_from, recipe, run, seed=seed)
    return transform(module, features, out / "features" / run.name)


def _page(
    out: Path,
    heading: str,
    data: Dataset,
    results: dict[str, ProbeResult],
) -> Page:
    module = TrainedModule.load(out / "runs" / "auto-0")
    record = read_json(out / "runs" / "auto-0" / "config.json", "a run's config")
    config, reasons = TrainingConfig(**record["training"]), record["chosen"]
    views: dict[str, Callable[[VideoArray], VideoArray]] = {
        "raw": np.asarray,
        "centered": center,
        "after SoLa": partial(transform_array, module.network),
    }
    validation = data.subset("validation")
    found = compare([validation.read(video) for video in validation.videos], views, step=config.step)
    full, few = results.values()
    few_title = list(results)[1]
    best = full.best_control("roc_auc")
    assert best is not None
    shown = _shown(validation)
    maps = {name: cosine_map(view(validation.read(shown))) for name, view in views.items()}
    assert shown.duration is not None
    map_plot = similarity_map_plot(maps, shown.segments, (0, shown.duration), "seconds", data.classes)
    (out / "picture.png").write_bytes(png(map_plot))
    curves = study_curves(found)
    logs = {name: Run(out / "runs" / f"{recipe}-0").rows() for name, recipe in RUNS.items()}
    return Page(
        title=heading,
        lead=(
            "Features of a frozen snippet encoder that never saw where an action begins or ends. A small module "
            "learned, without one label, to let the actions show. This page was written by sola demo."
        ),
        numbers=[
            (_percent(full, "raw"), "ROC-AUC of action against background, raw features"),
            (_percent(full, best), f"the best control: {best}"),
            (_percent(full, "SoLa, auto"), "SoLa, its settings chosen from the features"),
            (_percent(few, "SoLa, auto"), f"the same with {few_title} (raw: {_percent(few, 'raw')})"),
        ],
        sections=[
            Section(
                "One video, before and after",
                [
                    "Each square compares every moment of one validation video with every other: bright is similar, "
                    "the scale is below. Features that knew where actions begin and end would show a bright block for "
                    "each and nothing else. Colored bars are the annotated actions.",
                ],
                [Plot(map_plot, "Three similarity maps of one video.", f"Cosine similarity within {shown.id}.")],
            ),
            Section(
                "Linear evaluation",
                [
                    "Labels enter here for the first time: a linear classifier learns action against background on the "
                    "training videos and is measured on the validation videos. A gain that a control also gives is not "
                    "a gain of SoLa.",
                ],
                [_error_bars(full, "all labels"), _error_bars(few, few_title)],
                [
                    probe_page_table(
                        full,
                        "All labels, %, ± standard deviation over seeds; p: paired bootstrap over "
                        "validation videos, Holm-corrected.",
                    ),
                    probe_page_table(few, f"{few_title.capitalize()}, likewise."),
                ],
            ),
            Section(
                "The assumption behind it",
                [
                    "SoLa assumes that within a short window near snippets are more similar than far ones. First: mean "
                    "cosine similarity of two snippets against the distance between them, in whole videos and in "
                    "windows as they are drawn in training. Last: the share of windows in which near snippets are more "
                    "similar than far ones.",
                ],
                [_panel(panel) for panel in (*similarity_panels(curves), *assumption_panels(curves))],
            ),
            Section(
                "Training",
                [f"auto chose {name} = {getattr(config, name)}: {reason}" for name, reason in reasons.items()],
                [_panel(panel) for panel in training_panels(logs)],
            ),
            Section(
                "Results and limitations",
                [
                    "One set of the project's benchmark: a drawn figure that acts, stands about and walks in untrimmed "
                    "videos, exact boundaries, two frozen encoders, two timelines, three levels of scene. The recipe "
                    "auto was chosen on validation videos like those measured here, so this page shows what it does "
                    "and is no proof of it; docs/benchmark.md has what is, on all sets.",
                ],
            ),
        ],
        colophon={
            "command": "sola demo",
            "videos": f"{full.settings['train_videos']} training, {full.settings['test_videos']} validation",
            "seeds": str(full.settings["seeds"]),
            "environment": json.dumps(json.loads((out / "runs" / "auto-0" / "config.json").read_text())["environment"]),
        },
    )


def _panel(panel: Panel) -> Plot:
    return Plot(curve_plot([panel]), panel.description)


def _error_bars(result: ProbeResult, labels: str) -> Plot:
    """ROC-AUC of every row."""
    return Plot(
        error_bar_plot(result.rows, result.metrics[0], result.best_control("roc_auc")),
        f"ROC-AUC of raw features, controls and SoLa, {labels}.",
        f"ROC-AUC, {labels}. Dots are means over seeds, bars one standard deviation; dashed are raw features and the "
        "best control.",
    )


def probe_page_table(result: ProbeResult, caption: str) -> Table:
    """Rows of a probe in per cent, ± the standard deviation over seeds."""
    metrics = [metric for metric in result.metrics if metric.key != "accuracy"]
    best = result.best_control("roc_auc")
    rows = []
    for row in result.rows:
        found = None if best is None else result.comparison(row.name, best, "roc_auc")
        verdict = ""
        if found is not None:
            verdict = f"{percent(found.difference, signed=True)}, {p_statement(found.p_corrected)}"
        rows.append((row_name(row, best), *(mean_and_std(row.summaries[metric.key]) for metric in metrics), verdict))
    return Table(
        ("features", "ROC-AUC", "AP", "balanced accuracy", "class accuracy", "ROC-AUC against the best control"),
        rows,
        caption,
        strong=[row.name for row in result.rows if row.kind == "compared"],
    )


def _percent(result: ProbeResult, name: str) -> str:
    return f"{100 * result.row(name).mean('roc_auc'):.1f} %"


def _shown(validation: Dataset) -> Video:
    """The video that is drawn: the first with five instances, or nearly so; chosen by no other merit."""
    return min(validation.videos, key=lambda video: abs(len(video.segments) - 5))
