"""`sola probe`."""

import json as json_module
from typing import Annotated, Literal

from cyclopts import Parameter

from sola.cli.console import print_wide, report_skipped, say, stderr_bar
from sola.cli.options import (
    AT_LEAST_ONE,
    INPUTS,
    AnnotationFile,
    Features,
    Json,
    LabelKey,
    Quiet,
    Reading,
    Seeds,
    TestSubset,
    Timing,
    TrainSubset,
    named_paths,
)


def probe(
    features: Features,
    /,
    *,
    annotations: AnnotationFile,
    compare: Annotated[
        tuple[str, ...],
        Parameter(
            group=INPUTS,
            metavar="NAME=DIR",
            help="Other features of the same videos, such as sola=softened/. A name given again adds a seed to its "
            "row.",
        ),
    ] = (),
    train_subset: TrainSubset = "training",
    test_subset: TestSubset = "validation",
    label_key: LabelKey = "label",
    reading: Reading = Reading(),
    solver: Literal["sgd", "ridge"] = "sgd",
    labeled_videos: Annotated[int | None, Parameter(validator=AT_LEAST_ONE)] = None,
    seeds: Seeds = 3,
    timing: Timing = Timing(),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run `sola probe`.

    Args:
        solver: sgd: Table 4b (100 epochs); ridge: closed form, with a penalty cross-validated over training videos.
        labeled_videos: Training videos with labels, drawn again for each seed. Without it, all of them.
        seeds: Repetitions: initialization and order of the classifier, labeled videos, untrained modules.
    """
    from rich.markup import escape

    from sola.data.annotations import read_annotations
    from sola.data.ids import match_videos
    from sola.evaluation.probe import probe as run_probe

    compared = named_paths("--compare", compare)
    annotated = read_annotations(annotations, label_key)
    opened = timing.fill(reading.open(features))
    others = [(name, reading.open((folder,))) for name, folder in compared]
    with stderr_bar(quiet) as bar:
        line = bar.add_task("probe", total=None)

        def progress(row: str, done: int, total: int) -> None:
            bar.update(line, description=escape(row), completed=done, total=total)

        result = run_probe(
            opened,
            annotated,
            compare=others,
            solver=solver,
            videos=labeled_videos,
            seeds=seeds,
            train_subset=train_subset,
            test_subset=test_subset,
            id_prefix=reading.id_prefix,
            progress=progress,
        )
    report_skipped(opened.skipped)
    if not quiet:
        say(str(match_videos(opened.videos, annotated.videos, reading.id_prefix)))
    if json:
        print(json_module.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        print_wide(result.table())
