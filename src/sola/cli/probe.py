"""`sola probe`."""

import json as json_module
import logging
from typing import Annotated, Literal

from cyclopts import Parameter

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
    print_wide,
    report_skipped,
)
from sola.core.log import show_log

log = logging.getLogger(__name__)


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
    from sola.core.progress import progress_bar
    from sola.data.features import FeatureSet
    from sola.evaluation.probe import probe as run_probe

    show_log(quiet)
    folders = named_paths("--compare", compare)
    data = reading.dataset(features, annotations, label_key, timing.given())
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
            skipped=skipped,
            progress=lambda row, done, total: bar.update(done, total, row),
        )
    report_skipped(data.features.unreadable, skipped)
    log.info("%s", data)
    if json:
        print(json_module.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        print_wide(result.table())
