"""The folder that ActionFormer and OpenTAD read: features, annotations, classes, and a configuration for each."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import new_folder, write_json, write_text
from sola.data.annotations import Annotations, VideoAnnotation
from sola.data.features import FeatureSet
from sola.data.ids import VideoMatch, match_videos
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid, snippet_grid
from sola.export.clock import Clock, common_clock
from sola.export.configurations import (
    ANNOTATIONS,
    CLASSES,
    FEATURES,
    DataSet,
    actionformer_yaml,
    opentad_py,
)

SHORTEST = 1e-3
"""Seconds below which ActionFormer drops an instance."""
INSIDE = 0.5
"""Share of an instance that has to lie in the features for ActionFormer to train on it (trunc_thresh)."""


@dataclass(frozen=True)
class HandedOver:
    """What was written."""

    match: VideoMatch
    """Which videos have features and annotations."""
    videos: tuple[str, ...]
    """Those in the folder, as the annotations call them."""
    left_out: tuple[str, ...]
    """Training videos without an instance to train on, which the tools' training cannot bear."""
    classes: tuple[str, ...]
    """Those that the videos have, in the order of their numbers."""
    clock: Clock


def write_handover(
    features: FeatureSet,
    annotations: Annotations,
    out: Path,
    *,
    id_prefix: str | None = None,
    train_subset: str = "training",
    test_subset: str = "validation",
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> HandedOver:
    """Write features and annotations so that the data sets of ActionFormer and OpenTAD read them as they are.

    All files appear together: features/<video>.npy (float32), annotations.json (ActivityNet's layout),
    category_idx.txt, actionformer.yaml, opentad.py. Videos of all subsets are written that have both features and
    annotations.

    Args:
        features: per-video arrays [time, channels].
        annotations: in seconds. A video without a duration gets the end of its features, or of its last instance.
        out: a folder that does not exist yet.
        id_prefix: what ids begin with on one side only.
        train_subset: the subset that both configurations train on.
        test_subset: the one that they measure on.
        overwrite: replace a folder that this function wrote.
        progress: called with (videos done, videos in all).

    Returns:
        What was written.

    Raises:
        SolaError: for bad input, a place that is not free, or what the tools cannot express: see `common_clock`.
    """
    out = out.resolve()
    if any(stream.source.resolve().is_relative_to(out) for stream in features.streams):
        raise SolaError(f"{out}: holds the features that are read; choose another folder")
    if ".hdf5" in str(out):
        raise SolaError(f"{out}: ActionFormer takes a path with .hdf5 in it for an archive; choose another folder")
    match = match_videos(features.videos, annotations.videos, id_prefix)
    _check_names(annotations, match, train_subset, test_subset)
    with new_folder(out, overwrite=overwrite, mark=ANNOTATIONS, key="sola") as aside:
        lengths, grids = _timed(features, annotations, match)
        clock = common_clock(grids)
        left_out = tuple(
            video
            for video, grid in grids.items()
            if annotations.videos[video].subset == train_subset
            and not learnable(annotations.videos[video].segments, grid, lengths[video])
        )
        kept = grids.keys() - set(left_out)
        chosen = {ours: video for ours, video in match.videos.items() if video in kept}
        written = _write_features(features, chosen, aside / FEATURES, progress)
        records = {video: annotations.videos[video] for video in written}
        _check_subsets(records.values(), train_subset, test_subset)
        classes = _classes(annotations, records.values())
        data = DataSet(
            out,
            features.channels,
            len(classes),
            clock.stride,
            clock.first,
            max(lengths[video] for video in written),
            train_subset,
            test_subset,
        )
        entries = {
            video: _entry(record, clock.fps[video], grids[video], lengths[video], annotations.classes, classes)
            for video, record in records.items()
        }
        mark = {"feature_stride": clock.stride, "offset_frames": clock.first}
        write_json(aside / ANNOTATIONS, {"version": "sola handover", "sola": mark, "database": entries})
        write_text(aside / CLASSES, "".join(f"{name}\n" for name in classes))
        write_text(aside / "actionformer.yaml", actionformer_yaml(data))
        write_text(aside / "opentad.py", opentad_py(data))
    return HandedOver(match, written, left_out, classes, clock)


def learnable(segments: Segments, grid: SnippetGrid, length: int) -> bool:
    """Whether an instance is left once ActionFormer has dropped those too short or outside of `length` snippets.

    Its training stops with an error at a video without one (libs/datasets/anet.py).
    """
    start, end = grid.index(segments.start), grid.index(segments.end)
    stop = length - grid.index(0.0)  # as they have it, as far after the last snippet as the first lies in
    long_enough = segments.end - segments.start >= SHORTEST
    return bool((long_enough & (start < stop) & (np.minimum(end, stop) - start >= INSIDE * (end - start))).any())


def _check_names(annotations: Annotations, match: VideoMatch, train_subset: str, test_subset: str) -> None:
    """Raise SolaError for names of subsets, videos or classes that one of the tools would misread."""
    for subset in (train_subset, test_subset):
        annotations.subset(subset)
        for other in sorted({record.subset for record in annotations.videos.values()}):
            if other != subset and other.lower() == subset.lower():
                raise SolaError(f"subsets {subset!r} and {other!r} are one to ActionFormer; rename one")
    for video in match.videos.values():
        if Path(video).name != video:
            raise SolaError(f"video {video!r}: cannot be the name of a file; expected an id without slashes")
    for name in annotations.classes:
        if "\n" in name or "\r" in name:
            raise SolaError(f"class {name!r}: would be two lines of {CLASSES}; expected a name on one line")


def _check_subsets(records: Collection[VideoAnnotation], *subsets: str) -> None:
    """Raise SolaError when nothing of a subset is left to write."""
    for subset in subsets:
        if not any(record.subset == subset for record in records):
            raise SolaError(
                f"subset {subset!r}: none of its videos is left: they lack features or, to train on, an instance in "
                "them; add some, or name another by --train-subset or --test-subset"
            )


def _timed(
    features: FeatureSet, annotations: Annotations, match: VideoMatch
) -> tuple[dict[str, int], dict[str, SnippetGrid]]:
    """Return snippets and grid of every video whose file is good, by annotated id."""
    lengths, grids = {}, {}
    for ours, video in match.videos.items():
        try:
            lengths[video] = features.length(ours)
        except SolaError as error:
            features.skip(ours, error)
            continue
        grids[video] = snippet_grid(video, lengths[video], features.manifest, annotations.videos[video])
    if not grids:
        raise SolaError(f"none of {len(match.videos)} videos can be read")
    return lengths, grids


def _write_features(
    features: FeatureSet, videos: Mapping[str, str], folder: Path, progress: Callable[[int, int], None]
) -> tuple[str, ...]:
    """Write the arrays of `videos`, annotated id by ours, and their manifest; return the ids of those written."""
    folder.mkdir()
    written = []
    for done, (ours, array) in enumerate(features.only(videos).items(), 1):
        np.save(folder / f"{videos[ours]}.npy", _single(videos[ours], array))
        written.append(videos[ours])
        progress(done, len(videos))
    dataclasses.replace(features.manifest, dim=features.channels, layout=None).write(folder)
    return tuple(written)


def _single(video: str, array: np.ndarray) -> np.ndarray:
    """Return an array as float32, one row a snippet in memory."""
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(single).all():
        raise SolaError(
            f"video {video!r}: a value does not fit float32, which both tools read; scale the features down"
        )
    return single


def _classes(annotations: Annotations, records: Collection[VideoAnnotation]) -> tuple[str, ...]:
    """Return the classes that occur: ActionFormer counts them in the file and compares."""
    labels = np.unique(np.concatenate([record.segments.label for record in records]))
    if not len(labels):
        raise SolaError("the videos that have features have no instance; expected annotated ones")
    return tuple(annotations.classes[label] for label in labels.tolist())


def _entry(
    record: VideoAnnotation,
    fps: float,
    grid: SnippetGrid,
    length: int,
    names: tuple[str, ...],
    classes: tuple[str, ...],
) -> Mapping[str, Any]:
    """Return one video as it stands in annotations.json."""
    segments = record.segments
    duration = record.duration
    if duration is None:
        end = (grid.offset + (length - 1) * grid.stride + grid.window) / grid.fps
        duration = max([end, *segments.end.tolist()])
    number = {name: index for index, name in enumerate(classes)}
    return {
        "subset": record.subset,
        "duration": duration,
        "fps": fps,
        "frame": fps * duration,
        "annotations": [
            {"segment": [start, end], "label": names[label], "label_id": number[names[label]]}
            for start, end, label in zip(
                segments.start.tolist(), segments.end.tolist(), segments.label.tolist(), strict=True
            )
        ],
    }
