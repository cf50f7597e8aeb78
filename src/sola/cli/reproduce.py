"""`sola reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from cyclopts import Parameter

from sola.cli.console import print_wide, say, stderr_bar
from sola.cli.options import (
    AT_LEAST_ONE,
    EXECUTION,
    INPUTS,
    OUTPUT,
    ClassScores,
    Features,
    LabelKey,
    OptionalAnnotationFile,
    Quiet,
    Reading,
    TestSubset,
    Timing,
    TrainSubset,
)
from sola.core.errors import SolaError
from sola.detectors.recipes import DETECTOR_RECIPES, DetectorName, DetectorRecipe
from sola.evaluation.metrics.protocol import DATASETS
from sola.softlanding.recipes import RECIPES, Recipe
from sola.studies.catalog import EXPERIMENTS, ExperimentName

if TYPE_CHECKING:
    from sola.studies.workspace import HeadConfig


def reproduce(
    name: Annotated[ExperimentName, Parameter(group=INPUTS)],
    features: Features = (),
    /,
    *,
    annotations: OptionalAnnotationFile = None,
    train_subset: TrainSubset = "training",
    test_subset: TestSubset = "validation",
    label_key: LabelKey = "label",
    classifier: ClassScores = None,
    reading: Reading = Reading(),
    model: DetectorName = "gtad",
    recipe: Recipe = "anet",
    detector_recipe: DetectorRecipe | None = None,
    dataset: Annotated[str, Parameter(choices=tuple(DATASETS))] = "activitynet",
    seeds: Annotated[int | None, Parameter(validator=AT_LEAST_ONE)] = None,
    controls: bool = True,
    quick: bool = False,
    timing: Timing = Timing(),
    jobs: Annotated[int, Parameter(group=EXECUTION, validator=AT_LEAST_ONE)] = 1,
    out: Annotated[Path, Parameter(group=OUTPUT, metavar="DIR")],
    quiet: Quiet = False,
) -> None:
    """Run `sola reproduce`.

    Args:
        name: Table or figure of the supplement.
        model: Detector that evaluates the features; table3 uses all.
        recipe: Settings of the module, which the experiment varies.
        detector_recipe: Settings of the detector. Without it, as --recipe, or anet where that has none.
        dataset: Dataset that sets the tIoU thresholds of mAP: .5:.95:.05, or THUMOS14's .3:.7:.1.
        seeds: Modules, and detectors on them. Without it, 3; for figure1, 12 with anet, 5 with hacs.
        controls: Also train detectors on controls, to see whether a moving average gains as much.
        quick: Train everything small and shortly, to try the command; without FEATURES, on synthetic data.
        jobs: Runs at once; they share the cores.
        out: Folder of all experiments on these features.
    """
    from rich.markdown import Markdown

    from sola.studies.assumption import Assumption
    from sola.studies.outcome import markdown
    from sola.studies.pool import Pool
    from sola.studies.presentation import write_result
    from sola.studies.settings import default_seeds, quick_heads, quick_module
    from sola.studies.sweep import Sweep
    from sola.studies.workspace import Data, Workspace

    seeds = seeds or default_seeds(name, recipe, quick=quick)
    if not features and annotations is None and quick:
        features, annotations = synthetic(out / "synthetic")
    if not features or annotations is None:
        raise SolaError("name FEATURES and --annotations; only --quick goes without, on a synthetic world")
    data = Data(
        features,
        annotations,
        label_key,
        train_subset,
        test_subset,
        reading.channels_first,
        reading.skip_bad,
        reading.id_prefix,
        classifier,
        timing.given(),
    )
    config = RECIPES[recipe]()
    experiment = EXPERIMENTS[name](quick_module(config) if quick else config, model)
    workspace = Workspace(out.absolute())
    with workspace.claimed_for(data), Pool(jobs) as pool, stderr_bar(quiet) as bar:
        line = bar.add_task("", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(line, description=what, completed=done, total=total)

        if name == "sectionC":
            result = Assumption(experiment, workspace, data, seeds).run(pool, progress)
        else:
            heads = quick_heads() if quick else detectors_of(recipe, detector_recipe)
            levels = DATASETS[dataset].tiou
            result = Sweep(experiment, workspace, data, heads, seeds, levels, controls=controls).run(pool, progress)
    result["quick"] = quick
    if quick:
        result["notes"].append("--quick: everything is small and hardly trained; these figures mean nothing.")
    written = write_result(result, workspace.result(name), workspace.folder)
    print_wide(Markdown(markdown(result)))
    if not quiet:
        say("written: " + ", ".join(str(path) for path in written))


def synthetic(folder: Path) -> tuple[tuple[Path, ...], Path]:
    """Return features and annotations of a synthetic world, written to the folder if it does not exist."""
    from sola.data.synthetic import write
    from sola.studies.settings import QUICK_WORLD

    if not folder.is_dir():
        write(QUICK_WORLD, folder)
    return (folder / "features",), folder / "annotations.json"


def detectors_of(recipe: Recipe, detector_recipe: DetectorRecipe | None) -> "dict[DetectorName, HeadConfig]":
    """Return the configs of all detectors."""
    if detector_recipe is None:
        detector_recipe = recipe if recipe in get_args(DetectorRecipe) else "anet"  # type: ignore[assignment]
    return {model: DETECTOR_RECIPES[model, detector_recipe]() for model in get_args(DetectorName)}  # type: ignore[index]
