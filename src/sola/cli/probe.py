"""`sola probe`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from sola.cli import options
from sola.core.log import show_log


def probe(
    features: options.Features,
    /,
    *,
    annotations: options.AnnotationFile,
    compare: Annotated[
        tuple[str, ...],
        Parameter(
            group=options.INPUTS,
            metavar="NAME=DIR",
            help="Other features of the same videos, such as sola=softened/. Repeat a name to add a seed to its row.",
        ),
    ] = (),
    train_subset: options.TrainSubset = "training",
    test_subset: options.TestSubset = "validation",
    label_key: options.LabelKey = "label",
    reading: options.Reading = options.Reading(),
    solver: Literal["sgd", "ridge"] = "sgd",
    labeled_videos: Annotated[int | None, Parameter(validator=options.AT_LEAST_ONE)] = None,
    seeds: options.Seeds = 3,
    together: Annotated[str | None, Parameter(metavar="REGEX")] = None,
    timing: options.Timing = options.Timing(),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run `sola probe`.

    Args:
        solver: sgd: Table 4b (100 epochs); ridge: closed form, with a penalty cross-validated over training videos.
        labeled_videos: Number of training videos with labels, drawn anew for each seed. Without it, all of them.
        together: Regular expression that groups test videos for p-values: videos whose ids match with the same text are
            resampled together, such as several camera views of one event (fall-[0-9]+).
        seeds: Repetitions with different classifier initialization, labeled videos and untrained modules.
    """
    from sola.core.progress import progress_bar
    from sola.data.features import FeatureSet
    from sola.data.summary import split_summaries
    from sola.evaluation.probe import probe as run_probe

    show_log(quiet)
    folders = options.named_paths("--compare", compare)
    data = reading.dataset(features, annotations, label_key, timing.given())
    options.report_data(*split_summaries(data, train_subset, test_subset))
    others: dict[str, list[FeatureSet]] = {}
    for name, folder in folders:
        others.setdefault(name, []).append(reading.open((folder,)))
    skipped: dict[str, str] = {}
    with progress_bar("probe", unit="steps", quiet=quiet) as bar:
        result = run_probe(
            data,
            others,
            solver=solver,
            videos=labeled_videos,
            seeds=seeds,
            train_subset=train_subset,
            test_subset=test_subset,
            together=together,
            skipped=skipped,
            progress=lambda row, done, total: bar.update(done, total, row),
        )
    options.report_skipped(data.features.unreadable, skipped)
    if json:
        options.print_json(result.to_json())
    else:
        options.print_wide(result.table())
