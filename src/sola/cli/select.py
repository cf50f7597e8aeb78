"""`sola select`."""

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sola.cli import options
from sola.core.log import show_log

log = logging.getLogger(__name__)


def select(
    features: options.Features,
    /,
    *,
    videos: Annotated[int, Parameter(validator=options.AT_LEAST_ONE)] = 5,
    annotations: Annotated[
        Path | None,
        Parameter(
            group=options.INPUTS,
            metavar="FILE",
            help="Annotations of the videos that already have labels; they are not chosen again.",
        ),
    ] = None,
    train_subset: Annotated[
        str,
        Parameter(
            group=options.INPUTS,
            help="Subset whose labeled videos count as chosen; videos of other subsets are never chosen.",
        ),
    ] = "training",
    reading: options.Reading = options.Reading(),
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run `sola select`.

    Args:
        videos: Number of videos to choose.
        seed: Random seed of the clustering.
    """
    from sola.core.progress import progress_bar
    from sola.data.splits import UNLABELED
    from sola.evaluation.selection import select_videos

    show_log(quiet)
    if annotations is None:
        opened, labeled = reading.open(features), set[str]()
    else:
        data = reading.dataset(features, annotations)
        subsets = {video.feature_id: video.subset for video in data.videos if video.subset != UNLABELED}
        labeled = {video for video, subset in subsets.items() if subset == train_subset}
        tested = subsets.keys() - labeled
        opened = data.features.only(video for video in data.features.videos if video not in tested)
    skipped: dict[str, str] = {}
    with progress_bar("select", unit="reads", quiet=quiet) as bar:
        found = select_videos(
            opened,
            videos,
            labeled=labeled,
            seed=seed,
            skipped=skipped,
            progress=lambda done, total: bar.update(done, total),
        )
    options.report_skipped(opened.unreadable, skipped)
    if json:
        options.print_json({"videos": found.videos, "kinds": found.kinds, "all_kinds": found.all_kinds})
        return
    log.info(
        "%d of %d videos, %d labeled before; effective number of kinds of snippets: %.1f, in all videos %.1f",
        *(videos, len(opened.videos), len(labeled), found.kinds, found.all_kinds),
    )
    print("\n".join(found.videos))
