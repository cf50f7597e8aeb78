"""`sola experiment`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from msgspec.structs import replace
from rich.console import Console
from rich.markdown import Markdown
from tyro.conf import Positional, arg

from sola.cli.console import parse, say, stderr_bar
from sola.cli.options import Reading, ReadingFlags, Timing, TimingFlags
from sola.cli.probe import WIDTH
from sola.core.errors import SolaError
from sola.data.source import DataSource
from sola.data.synthetic import write as write_synthetic
from sola.evaluation.metrics.protocol import DATASETS
from sola.evaluation.tables import study_markdown
from sola.softlanding.recipes import RECIPES, RecipeName
from sola.studies.assumption import Assumption
from sola.studies.catalog import EXPERIMENTS, ExperimentName
from sola.studies.pool import Pool
from sola.studies.presentation import write_study
from sola.studies.settings import QUICK_NOTE, QUICK_WORLD, default_seeds, detector_configs, quick_module
from sola.studies.sweep import Sweep
from sola.studies.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Run one of the supplement's tables or figures on any features, and write its table and pictures to OUT/NAME.

    table1: direct or adapter. table2: the losses. table3: three heads. table5: K and s. table6: the projector.
    figure1: error bars over many seeds. sectionC: similarity against distance, and how often the assumption holds.

    Runs lie in OUT/modules, OUT/controls and OUT/heads, and experiments with the same OUT share them. Stopped at any
    moment, the same command goes on where it was; what is finished is not touched. Raw features and controls are rows
    of every table; p-values are from a paired bootstrap over the test videos, Holm-corrected. `sola report OUT --out
    report.html` makes a page of it.
    """

    name: Annotated[Positional[ExperimentName], arg(metavar="NAME")]
    """Which: table1, table2, table3, table5, table6, figure1 or sectionC."""
    features: Annotated[Positional[tuple[Path, ...]], arg(metavar="FEATURES")] = ()
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    annotations: Annotated[Path | None, arg(metavar="JSON")] = None
    """ActivityNet's layout, which HACS and THUMOS14 share."""
    out: Annotated[Path, arg(metavar="DIR")] = Path("experiments")
    """The folder of all experiments on these data."""
    recipe: RecipeName = "anet"
    """Of the module; what the experiment varies is varied from it."""
    detector_recipe: str | None = None
    """Of the head (default: the module's, or anet where that has none)."""
    model: str = "gtad"
    """On which features are judged; table3 takes all three."""
    dataset: Literal["activitynet", "hacs", "thumos14"] = "activitynet"
    """Whose tIoU thresholds mAP is taken at: .5:.95:.05, or THUMOS14's .3:.7:.1."""
    seeds: int | None = None
    """Modules, and heads on them (default: 3; figure1: 12 with anet, 5 with hacs)."""
    jobs: int = 1
    """Runs at once; the cores are shared among them."""
    classifier: Annotated[Path | None, arg(metavar="FILE")] = None
    """Scores of an external classifier of whole videos: CUHK's or ActivityNet's JSON, or UntrimmedNet's .npy."""
    no_controls: bool = False
    """Train no head on controls: a gain may then be one that a moving average gives as well."""
    quick: bool = False
    """Everything small and hardly trained, to see it run; without FEATURES on a synthetic world."""
    train_subset: str = "training"
    """Learned from: by modules without its labels, by heads with them."""
    test_subset: str = "validation"
    """Where all figures are taken."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun)."""
    quiet: bool = False
    """No progress bar."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Experiment, "experiment", arguments)
    if options.jobs < 1:
        raise SolaError(f"--jobs {options.jobs}: expected a whole number of at least 1")
    seeds = options.seeds or default_seeds(options.name, options.recipe, quick=options.quick)
    if seeds < 1:
        raise SolaError(f"--seeds {seeds}: expected a whole number of at least 1")
    config = RECIPES[options.recipe]()
    experiment = EXPERIMENTS[options.name](quick_module(config) if options.quick else config, options.model)
    workspace, data = Workspace(options.out.absolute()), data_of(options)
    with workspace.claimed_for(data), Pool(options.jobs) as pool, stderr_bar(options.quiet) as bar:
        line = bar.add_task("", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(line, description=what, completed=done, total=total)

        if options.name == "sectionC":
            result = Assumption(experiment, workspace, data, seeds).run(pool, progress)
        else:
            sweep = Sweep(
                experiment,
                workspace,
                data,
                detector_configs(experiment.heads, options.detector_recipe, options.recipe, quick=options.quick),
                seeds,
                DATASETS[options.dataset].tiou,
                controls=not options.no_controls,
            )
            result = sweep.run(pool, progress)
    if options.quick:
        result = replace(result, quick=True, notes=(QUICK_NOTE,))
    written = write_study(result, workspace.result(options.name), workspace.folder)
    Console(width=max(WIDTH, Console().width)).print(Markdown(study_markdown(result)))
    if not options.quiet:
        say("written: " + ", ".join(str(path) for path in written))


def data_of(options: Experiment) -> DataSource:
    """What the experiment is on; the synthetic world where --quick names no features."""
    features, annotations = options.features, options.annotations
    if not features and annotations is None and options.quick:
        folder = options.out / "synthetic"
        if not folder.is_dir():
            write_synthetic(QUICK_WORLD, folder)
        features, annotations = (folder / "features",), folder / "annotations.json"
    if not features or annotations is None:
        raise SolaError("name FEATURES and --annotations; only --quick goes without, on a synthetic world")
    return DataSource(
        features,
        annotations,
        options.label_key,
        options.train_subset,
        options.test_subset,
        options.reading.channels_first,
        options.reading.skip_bad,
        options.reading.id_prefix,
        options.classifier,
        options.timing.given(),  # type: ignore[arg-type]  # keyed by its fields
    )
