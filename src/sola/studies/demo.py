"""Demo: train, transform, probe and inspect on a small data set, and write a report page."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from sola.core.checks import at_least
from sola.core.files import read_json, write_json
from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.evaluation.controls import center
from sola.evaluation.probe import probe
from sola.evaluation.probe_result import ProbeResult
from sola.evaluation.similarity import Video, compare, cosine_map
from sola.pipeline.transform_job import transform
from sola.report.page import Page, Plot, Section
from sola.report.plots import (
    assumption_panels,
    similarity_map_plot,
    similarity_panels,
    study_curves,
    training_panels,
)
from sola.report.saving import write_plot
from sola.report.study import comparison_table, error_bars, panel_plot, result_table
from sola.softlanding.train import train
from sola.softlanding.trained import TrainedModule
from sola.softlanding.transform import transform_array
from sola.training.run import Run

RECIPES: Mapping[str, str] = {"SoLa, published": "anet", "SoLa, auto": "auto"}
"""Recipe by row of the table."""


def demo(out: Path, *, heading: str, seeds: int, few: int, say: Callable[[str], None]) -> ProbeResult:
    """Run all steps on `out/data`, and write `out/report.html`, `out/picture.png` and `out/probe.json`.

    Args:
        out: folder that contains only `data/features` and `data/annotations.json`.
        heading: heading of the page.
        seeds: number of modules per recipe, and of repetitions of the probe.
        few: number of labeled videos in the few-label probe.
        say: called with the description of each step.
    """
    at_least(1, seeds=seeds, few=few)
    data = Dataset.open(out / "data" / "features", out / "data" / "annotations.json")
    training = data.subset("training").features
    transformed: dict[str, list[FeatureSet]] = {name: [] for name in RECIPES}
    for name, recipe in RECIPES.items():
        for seed in range(seeds):
            say(f"{name}: training without labels, seed {seed}")
            run = out / "runs" / f"{recipe}-{seed}"
            module = train(training, recipe, run, seed=seed)
            transformed[name].append(transform(module, data.features, out / "features" / run.name))

    results = {}
    for title, videos in (("all labels", None), (f"labels of {few} videos", few)):
        say(f"linear evaluation with controls, {title}")
        results[title] = probe(data, transformed, solver="ridge", videos=videos, seeds=seeds)
    write_json(out / "probe.json", {title: result.to_json() for title, result in results.items()})

    say("inspecting similarity, writing the report")
    _page(out, heading, data, results).write(out / "report.html")
    return results["all labels"]


def _page(out: Path, heading: str, data: Dataset, results: Mapping[str, ProbeResult]) -> Page:
    record = read_json(out / "runs" / "auto-0" / "config.json", "a run's config")
    config = record["training"]
    views: dict[str, Callable[[Video], Video]] = {
        "raw": np.asarray,
        "centered": center,
        "after SoLa": partial(transform_array, TrainedModule.load(out / "runs" / "auto-0").network),
    }
    validation = data.subset("validation")
    inspected = compare([validation.read(video) for video in validation.videos], views, step=config["largest_step"])
    curves = study_curves(inspected)
    logs = {name: Run(out / "runs" / f"{recipe}-0").rows() for name, recipe in RECIPES.items()}

    shown = min(validation.videos, key=lambda video: abs(len(video.segments) - 5))  # chosen without looking at the maps
    assert shown.duration is not None
    maps = {name: cosine_map(view(validation.read(shown))) for name, view in views.items()}
    map_plot = similarity_map_plot(maps, shown.segments, (0, shown.duration), "seconds", data.classes)
    write_plot(out / "picture.png", map_plot)

    full, few = results.values()
    few_title = list(results)[1]
    best = full.best_control("roc_auc")
    assert best is not None

    def auc(result: ProbeResult, name: str) -> str:
        return f"{100 * result.row(name).mean('roc_auc'):.1f} %"

    return Page(
        title=heading,
        lead=(
            "Features from a frozen snippet encoder that was trained without action boundaries. A small module, "
            "trained on them without labels, makes actions stand out. This page was written by sola demo."
        ),
        numbers=[
            (auc(full, "raw"), "ROC-AUC of action against background, raw features"),
            (auc(full, best), f"the best control: {best}"),
            (auc(full, "SoLa, auto"), "SoLa at several steps, concatenated with the input"),
            (auc(few, "SoLa, auto"), f"the same with {few_title} (raw: {auc(few, 'raw')})"),
        ],
        sections=[
            Section(
                "One video, before and after",
                [
                    "Each map compares all pairs of times in one validation video. Bright means similar; the scale is "
                    "below. Perfect features would show one bright block per action and nothing else. Colored bars "
                    "are the annotated actions.",
                ],
                [Plot(map_plot, "Three similarity maps of one video.", f"Cosine similarity within {shown.id}.")],
            ),
            Section(
                "Linear evaluation",
                [
                    "This is the first step that uses labels: a linear classifier learns action against background on "
                    "the training videos and is evaluated on the validation videos. A gain that a control also reaches "
                    "is not due to SoLa.",
                ],
                error_bars(full),
                [result_table(full, full.settings["seeds"]), comparison_table(full)],
            ),
            Section(
                f"Linear evaluation, {few_title}",
                plots=error_bars(few),
                tables=[result_table(few, few.settings["seeds"]), comparison_table(few)],
            ),
            Section(
                "The assumption behind it",
                [
                    "SoLa assumes that in a short window, snippets close in time are more similar than distant "
                    "snippets. The first plots show the mean cosine similarity of two snippets against their distance, "
                    "in whole videos and in windows sampled as in training. The last plot shows the share of windows "
                    "in which near snippets are more similar than distant snippets.",
                ],
                [panel_plot(panel) for panel in (*similarity_panels(curves), *assumption_panels(curves))],
            ),
            Section(
                "Training",
                [f"auto chose {name} = {config[name]}: {reason}" for name, reason in record["chosen"].items()],
                [panel_plot(panel) for panel in training_panels(logs)],
            ),
            Section(
                "Results and limitations",
                [
                    "This is one set of the project's benchmark: untrimmed videos of a rendered figure that acts, "
                    "stands and walks, with exact boundaries. The recipe auto was chosen on similar validation videos, "
                    "so this page is an illustration, not evidence. docs/explanation/benchmark.md has the results on "
                    "all sets.",
                ],
            ),
        ],
        colophon={
            "command": "sola demo",
            "videos": f"{full.settings['train_videos']} training, {full.settings['test_videos']} validation",
            "seeds": str(full.settings["seeds"]),
            "environment": json.dumps(record["environment"]),
        },
    )
