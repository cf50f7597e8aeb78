"""`sola inspect`."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import arg

from sola.cli.console import parse, say
from sola.cli.options import Features, Reading, ReadingFlags, Timing, TimingFlags, report_skipped
from sola.core.errors import SolaError
from sola.core.files import new_folder, write_json
from sola.data.annotations import read_annotations
from sola.data.dataset import Dataset, Video
from sola.data.segments import Segments
from sola.evaluation.controls import center
from sola.evaluation.similarity import Video as VideoArray
from sola.evaluation.similarity import compare, cosine_map
from sola.pipeline.transform_job import load_module
from sola.report.figures import obedience, png, similarity_distance, similarity_maps
from sola.softlanding.auto import suggest
from sola.softlanding.network import SoLa
from sola.softlanding.transform import transform_array


@dataclasses.dataclass(frozen=True)
class Inspect:
    """Look at FEATURES: how alike snippets are by their distance, where windows obey the method's assumption.

    OUT gets inspection.json and pictures: similarity against distance, the share of windows that obey, and similarity
    maps of a few videos with their annotated segments. With --run, all of it also after the module of that run.
    """

    features: Features
    """A folder (or .h5) of per-video arrays [time, channels]; several are joined on channels."""
    out: Annotated[Path, arg(metavar="DIR")]
    """The folder to write."""
    run: Annotated[Path | None, arg(metavar="RUN")] = None
    """A finished run of `sola train`: inspect before and after its module."""
    annotations: Annotated[Path | None, arg(metavar="JSON")] = None
    """Draw the segments of these annotations above the similarity maps."""
    label_key: str = "label"
    """The annotation's field that names the class (EPIC: verb or noun)."""
    step: int | None = None
    """Snippets between two positions of a window (default: the run's, else the suggested one)."""
    videos: Annotated[tuple[str, ...], arg(metavar="ID")] = ()
    """Videos whose maps are drawn (default: three, spread over the set)."""
    max_videos: int = 100
    """Videos that the curves are taken from, spread over the set."""
    seed: int = 0
    """Of the windows drawn."""
    overwrite: bool = False
    """Replace OUT."""
    json: bool = False
    """Print inspection.json on stdout."""
    quiet: bool = False
    """No remarks."""
    reading: ReadingFlags = dataclasses.field(default_factory=Reading)
    timing: TimingFlags = dataclasses.field(default_factory=Timing)


def run(arguments: list[str]) -> None:
    """Parse and run."""
    options = parse(Inspect, "inspect", arguments)
    for name, least in (("max_videos", 1), ("seed", 0), ("step", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise SolaError(f"{name}={value}: expected a whole number of at least {least}")
    data = _open(options)
    features, videos = data.features, {video.feature_id: video for video in data.videos}
    module = None if options.run is None else load_module(options.run)
    if module is not None and module.channels != features.channels:
        raise SolaError(f"the features have {features.channels} channels, the run's module {module.channels}")
    suggestion = suggest(features, seed=options.seed)
    step = options.step or _step_of(module) or suggestion.step

    views: dict[str, Callable[[VideoArray], VideoArray]] = {"raw": np.asarray, "centered": center}
    if module is not None:
        views["after SoLa"] = partial(transform_array, module)
    sample = features.only(_spread(features.videos, options.max_videos))
    skipped: dict[str, str] = {}
    arrays = [np.array(array) for _, array in sample.items(skipped)]
    drawn = features.only(options.videos or _spread(sample.without(skipped).videos, 3))
    found = compare(arrays, views, step=step, seed=options.seed)
    suggested = {name: getattr(suggestion, name) for name in ("step", "k", "center", "smoothing")}
    result = {
        "suggested": suggested,
        "reasons": dict(suggestion.reasons),
        "step": step,
        "views": {name: inspection.to_json() for name, inspection in found.items()},
    }
    with new_folder(options.out, overwrite=options.overwrite, mark="inspection.json", key="suggested") as folder:
        whole = {name: (i.whole.distance, i.whole.similarity) for name, i in found.items()}
        sampled = {name: (i.windows.distance, i.windows.similarity) for name, i in found.items()}
        (folder / "similarity_distance.png").write_bytes(png(similarity_distance(whole, sampled)))
        shares = {name: (i.obedience.length, i.obedience.share) for name, i in found.items()}
        (folder / "obedience.png").write_bytes(png(obedience(shares)))
        for name, array in drawn.items(skipped):
            maps = {view_name: cosine_map(view(array)) for view_name, view in views.items()}
            figure = similarity_maps(maps, *_extent(len(array), videos.get(name)), classes=data.classes)
            (folder / f"similarity_map_{name.replace('/', '_')}.png").write_bytes(png(figure))
        write_json(folder / "inspection.json", result)
    report_skipped({**features.unreadable, **skipped})
    if options.json:
        print(json.dumps(result, indent=2, allow_nan=False))
    elif not options.quiet:
        for name, value in suggested.items():
            say(f"suggested {name}: {value}. {suggestion.reasons['conditioning' if name == 'center' else name]}")
        say(f"{options.out}: written")


def _open(options: Inspect) -> Dataset:
    """Open the features, matched with the annotations where there are some."""
    features = options.timing.fill(options.reading.open(options.features))
    unknown = [video for video in options.videos if video not in features.videos]
    if unknown:
        raise SolaError(f"--videos {unknown[0]}: no such video among the features (the first is {features.videos[0]})")
    annotations = None
    if options.annotations is not None:
        annotations = read_annotations(options.annotations, options.label_key)
    return Dataset.open(features, annotations, id_prefix=options.reading.id_prefix)


def _extent(length: int, video: Video | None) -> tuple[Segments | None, tuple[float, float], str]:
    """The segments of a video, where its first snippet begins and its last one ends, and in which unit."""
    if video is None or video.subset is None:
        return None, (0.0, float(length)), "snippets"
    return video.segments, (video.grid.seconds(-0.5), video.grid.seconds(length - 0.5)), "seconds"


def _step_of(module: SoLa | None) -> int | None:
    """The step that a module was trained at; None without a module or for one that was not trained here."""
    step = module.origin.get("training", {}).get("step") if module is not None else None
    return step if isinstance(step, int) and step > 0 else None


def _spread(videos: Sequence[str], count: int) -> list[str]:
    """At most `count` of the videos, evenly spaced."""
    positions = np.linspace(0, len(videos) - 1, min(count, len(videos))).round().astype(int)
    return [videos[position] for position in np.unique(positions)]
