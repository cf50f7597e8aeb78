"""`sola reproduce`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sola.cli import options
from sola.core.errors import SolaError
from sola.core.log import show_log
from sola.detectors import DETECTORS
from sola.evaluation.metrics.protocol import DATASETS
from sola.softlanding.recipes import RECIPES
from sola.studies.catalog import ControlChoice, ExperimentName

log = logging.getLogger(__name__)


def reproduce(
    name: Annotated[ExperimentName, Parameter(group=options.INPUTS)],
    features: options.Features = (),
    /,
    *,
    annotations: options.OptionalAnnotationFile = None,
    train_subset: options.TrainSubset = "training",
    test_subset: options.TestSubset = "validation",
    label_key: options.LabelKey = "label",
    classifier: options.ClassScores = None,
    reading: options.Reading = options.Reading(),
    model: Annotated[str, Parameter(choices=tuple(DETECTORS))] = "gtad",
    recipe: Annotated[str, Parameter(choices=tuple(RECIPES))] = "anet",
    detector_recipe: Annotated[str | None, Parameter(group=options.MORE)] = None,
    dataset: Annotated[str, Parameter(group=options.MORE, choices=tuple(DATASETS))] = "activitynet",
    seeds: Annotated[int | None, Parameter(validator=options.AT_LEAST_ONE)] = None,
    controls: ControlChoice = "all",
    quick: bool = False,
    timing: options.Timing = options.Timing(),
    jobs: Annotated[int, Parameter(group=options.EXECUTION, validator=options.AT_LEAST_ONE)] = 1,
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="DIR")],
    quiet: options.Quiet = False,
) -> None:
    """Run `sola reproduce`.

    Args:
        name: Table or figure of the supplement.
        model: Detector that evaluates the features; table3 uses all.
        recipe: Settings of the module, which the experiment varies.
        detector_recipe: Recipe of the detector. Without it, --recipe, or anet if the detector has no such recipe.
        dataset: Dataset that sets the tIoU thresholds of mAP.
        seeds: Number of modules, each with its own detectors. Without it, 3; for figure1, 12 with anet and 5 with hacs.
        controls: Controls on which detectors are also trained, to see whether they gain as much.
        quick: Train small models for a few steps, to try the command; without FEATURES, on the demo data set.
        jobs: Number of runs in parallel; they share the cores.
        out: Folder of all experiments on these features.
    """
    from msgspec.structs import replace
    from rich.markdown import Markdown

    from sola.core.progress import progress_bar
    from sola.data.demo_set import write_demo_set
    from sola.data.source import DataSource
    from sola.data.summary import split_summaries
    from sola.evaluation.tables import study_markdown
    from sola.report.sources import Study
    from sola.report.study import write_study
    from sola.studies.assumption import Assumption
    from sola.studies.catalog import QUICK_NOTE, default_seeds, experiment, quick_module, require_windows
    from sola.studies.pool import Pool
    from sola.studies.sweep import Sweep, detector_configs
    from sola.studies.workspace import Workspace

    show_log(quiet)
    seeds = seeds or default_seeds(name, recipe, quick=quick)
    if not features and annotations is None and quick:
        demo = out / "demo_set"
        if not demo.is_dir():
            write_demo_set(demo)
        features, annotations = (demo / "features",), demo / "annotations.json"
    if not features or annotations is None:
        raise SolaError("name FEATURES and --annotations; only --quick runs without, on the demo data set")
    data = DataSource(
        features,
        annotations,
        label_key,
        train_subset,
        test_subset,
        reading.channels_first,
        reading.skip_bad,
        reading.id_prefix,
        classifier,
        timing.given(),  # type: ignore[arg-type]  # keyed by its fields
        reading.streams,
        reading.id_from,
        reading.trim_padding,
    )
    opened = data.open()
    options.report_data(*split_summaries(opened, train_subset, test_subset))
    config = RECIPES[recipe]()
    compared = experiment(name, quick_module(config) if quick else config, model)
    require_windows(compared, max(video.length for video in opened.subset(train_subset).videos))
    workspace = Workspace(out.absolute())
    with workspace.claimed_for(data), Pool(jobs) as pool, progress_bar("reproduce", unit="steps", quiet=quiet) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.update(done, total, what)

        if name == "sectionC":
            result = Assumption(compared, workspace, data, seeds).run(pool, progress)
        else:
            detectors = detector_configs(compared.detectors, detector_recipe, recipe, quick=quick)
            levels = DATASETS[dataset].tiou
            result = Sweep(compared, workspace, data, seeds, detectors, levels, controls=controls).run(pool, progress)
    if quick:
        result = replace(result, quick=True, notes=(QUICK_NOTE,))
    written = write_study(Study(workspace.folder, result))
    options.print_wide(Markdown(study_markdown(result)))
    log.info("written: %s", ", ".join(str(path) for path in written))
