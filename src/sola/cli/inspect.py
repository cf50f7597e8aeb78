"""`sola inspect`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from sola.cli import options
from sola.core.errors import SolaError
from sola.core.files import new_folder, write_json
from sola.core.log import show_log

if TYPE_CHECKING:
    from sola.data.dataset_video import Video
    from sola.data.segments import Segments
    from sola.evaluation.similarity import Inspection
    from sola.evaluation.similarity import Video as VideoArray
    from sola.softlanding.trained import TrainedModule

log = logging.getLogger(__name__)


def inspect(
    features: options.Features,
    /,
    *,
    run: Annotated[
        Path | None,
        Parameter(group=options.INPUTS, help="Finished run of `sola train`: compare before and after its module."),
    ] = None,
    annotations: options.OptionalAnnotationFile = None,
    label_key: options.LabelKey = "label",
    reading: options.Reading = options.Reading(),
    step: Annotated[int | None, Parameter(validator=options.AT_LEAST_ONE)] = None,
    videos: Annotated[tuple[str, ...], Parameter(metavar="ID")] = (),
    max_videos: Annotated[int, Parameter(validator=options.AT_LEAST_ONE)] = 100,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    timing: options.Timing = options.Timing(),
    out: Annotated[Path, Parameter(group=options.OUTPUT, metavar="DIR")],
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run `sola inspect`.

    Args:
        step: Distance between two positions of a window (snippets). Without it, that of the run, or the largest up to 8
            that fits.
        videos: Ids of the videos whose similarity maps are drawn. Without it, three, evenly spaced.
        max_videos: Maximum number of videos for the curves, evenly spaced.
        seed: Random seed of the windows.
        out: Folder to write.
    """
    from sola.data.summary import summaries_json
    from sola.evaluation.controls import center
    from sola.evaluation.similarity import compare, cosine_map
    from sola.pipeline.transform_job import load_module
    from sola.report.plots import assumption_panels, curve_plot, similarity_map_plot, similarity_panels, study_curves
    from sola.report.saving import write_plot
    from sola.softlanding.config import TrainingConfig
    from sola.softlanding.transform import transform_array
    from sola.softlanding.windows import fitting_step

    show_log(quiet)
    opened = reading.open(features).with_timing(timing.given())
    module = None if run is None else load_module(run)
    if module is not None and module.network.channels != opened.channels:
        raise SolaError(f"the features have {opened.channels} channels, the run's module {module.network.channels}")
    unknown = [video for video in videos if video not in opened.videos]
    if unknown:
        raise SolaError(f"--videos {unknown[0]}: no such video among the features (the first is {opened.videos[0]})")
    data = reading.dataset(features, annotations, label_key, timing.given())
    options.report_data(data.summary)
    by_id = {video.feature_id: video for video in data.videos}
    published = TrainingConfig()
    lengths = [video.length for video in data.videos]
    fits = fitting_step(lengths, published.positions, published.margin)
    step = step or step_of(module) or max(min(published.step, fits), 1)

    views: dict[str, Callable[[VideoArray], VideoArray]] = {"raw": np.asarray, "centered": center}
    if module is not None:
        views["after SoLa"] = partial(transform_array, module.network)
    sample = opened.only(spread(opened.videos, max_videos))
    skipped: dict[str, str] = {}
    arrays = [np.array(array) for _, array in sample.items(skipped)]
    drawn = opened.only(videos or spread(sample.without(skipped).videos, 3))
    found = compare(arrays, views, step=step, seed=seed)
    result = {
        "step": step,
        "data": summaries_json(data.summary),
        "views": {name: inspection.to_json() for name, inspection in found.items()},
    }
    with new_folder(out, overwrite=overwrite, mark="inspection.json", key="views") as folder:
        curves = study_curves(found)
        write_plot(folder / "similarity_distance.png", curve_plot(similarity_panels(curves)))
        write_plot(folder / "assumption_share.png", curve_plot(assumption_panels(curves)))
        for video, array in drawn.items(skipped):
            maps = {name: cosine_map(view(array)) for name, view in views.items()}
            plot = similarity_map_plot(maps, *extent(len(array), by_id.get(video)), classes=data.classes)
            write_plot(folder / f"similarity_map_{video.replace('/', '_')}.png", plot)
        write_json(folder / "inspection.json", result)
    options.report_skipped(opened.unreadable, skipped)
    if json:
        options.print_json(result)
        return
    for line in summary_lines(found):
        log.info("%s", line)
    log.info("%s: written", out)


def summary_lines(found: Mapping[str, "Inspection"]) -> list[str]:
    """Return one line per view: share of windows that satisfy the assumption, by length, and variance within videos."""
    lines = []
    for name, inspection in found.items():
        windows = inspection.assumption
        shares = ", ".join(
            f"{share:.0%} of {length} snippets" for length, share in zip(windows.length, windows.share, strict=True)
        )
        within = f"{inspection.variance_within:.0%} of the variance is within videos"
        lines.append(f"{name}: {within}; windows that satisfy the assumption (chance 50%): {shares or 'none fit'}")
    return lines


def extent(length: int, video: "Video | None") -> tuple["Segments | None", tuple[float, float], str]:
    """Return the segments of a video, the time range of its snippets, and the unit of both."""
    if video is None or video.subset is None:
        return None, (0.0, float(length)), "snippets"
    return video.segments, (video.grid.seconds(-0.5), video.grid.seconds(length - 0.5)), "seconds"


def step_of(module: "TrainedModule | None") -> int | None:
    """Return the largest step that a module was trained with, or None if unknown."""
    if module is None:
        return None
    if steps := module.network.config().get("steps"):
        return int(max(steps))
    step = module.provenance.get("training", {}).get("step")
    return step if isinstance(step, int) and step > 0 else None


def spread(videos: Sequence[str], count: int) -> list[str]:
    """Return at most `count` of the videos, evenly spaced."""
    positions = np.linspace(0, len(videos) - 1, min(count, len(videos))).round().astype(int)
    return [videos[position] for position in np.unique(positions)]
