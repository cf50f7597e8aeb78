"""Export of features, annotations, classes and configurations for ActionFormer and OpenTAD."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import new_folder, write_json, write_text
from sola.data.dataset import Dataset, Video
from sola.data.features import none_left
from sola.data.formats.base import to_dtype
from sola.data.names import file_of
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid
from sola.export.clock import Clock, common_clock
from sola.export.configurations import ANNOTATIONS, CLASSES, FEATURES, ExportedData, actionformer_yaml, opentad_py

SHORTEST = 1e-3
"""Length in seconds below which ActionFormer drops an instance."""
INSIDE = 0.5
"""Minimum share of an instance inside the features for ActionFormer to train on it (trunc_thresh)."""


@dataclass(frozen=True)
class ExportedDataset:
    """Content of an exported folder."""

    videos: tuple[str, ...]
    """Ids in the annotations."""
    left_out: tuple[str, ...]
    """Training videos without an instance to train on, for which training would fail."""
    classes: tuple[str, ...]
    """Classes of the videos, in order of their numbers."""
    clock: Clock


def export_dataset(
    data: Dataset,
    out: Path | str,
    *,
    train_subset: str = "training",
    test_subset: str = "validation",
    overwrite: bool = False,
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportedDataset:
    """Write features and annotations of all subsets in the layout that ActionFormer and OpenTAD read.

    The folder holds features/<video>.npy (float32), annotations.json (ActivityNet's layout), category_idx.txt,
    actionformer.yaml and opentad.py.

    Args:
        data: features and annotations; a missing duration becomes the end of the features or of the last instance.
        out: new folder.
        train_subset: subset for training in both configurations.
        test_subset: subset for evaluation in both configurations.
        overwrite: replace a folder that this function wrote.
        skipped: gets the reasons why videos with bad files were left out, by id in the features.
        progress: called with the number of completed videos, and of all.

    Raises SolaError for bad input, an existing folder, or timing that the tools cannot express: see `common_clock`.
    """
    out = Path(out).resolve()
    if any(stream.source.resolve().is_relative_to(out) for stream in data.features.streams):
        raise SolaError(f"{out}: holds the features that are read; choose another folder")
    if ".hdf5" in str(out):
        raise SolaError(f"{out}: ActionFormer takes a path with .hdf5 in it for an archive; choose another folder")
    data, train_subset, test_subset = _naming_subsets(data, train_subset, test_subset)
    _check_names(data)
    skipped = {} if skipped is None else skipped
    with new_folder(out, overwrite=overwrite, mark=ANNOTATIONS, key="sola") as aside:
        grids = {video.id: video.grid for video in data.videos}
        clock = common_clock(grids)
        left_out = tuple(
            video.id
            for video in data.videos
            if video.subset == train_subset and not learnable(video.segments, video.grid, video.length)
        )
        chosen = data.only(grids.keys() - set(left_out))
        written = _write_features(chosen, aside / FEATURES, skipped, progress)
        _check_subsets(chosen, written, skipped, train_subset, test_subset)
        classes = _classes(data.classes, written)
        channels, longest = data.features.channels, max(video.length for video in written)
        settings = ExportedData(
            out, channels, len(classes), clock.stride, clock.first, longest, train_subset, test_subset
        )
        entries = {video.id: _entry(video, clock.fps[video.id], data.classes, classes) for video in written}
        mark = {"feature_stride": clock.stride, "offset_frames": clock.first}
        write_json(aside / ANNOTATIONS, {"version": "sola export", "sola": mark, "database": entries})
        write_text(aside / CLASSES, "".join(f"{name}\n" for name in classes))
        write_text(aside / "actionformer.yaml", actionformer_yaml(settings))
        write_text(aside / "opentad.py", opentad_py(settings))
    return ExportedDataset(tuple(video.id for video in written), left_out, classes, clock)


def learnable(segments: Segments, grid: SnippetGrid, length: int) -> bool:
    """Return whether ActionFormer keeps an instance (libs/datasets/anet.py); its training fails without one."""
    start, end = grid.index(segments.start), grid.index(segments.end)
    stop = length - grid.index(0.0)  # as in ActionFormer: as far after the last snippet as the first center from 0
    long_enough = segments.end - segments.start >= SHORTEST
    return bool((long_enough & (start < stop) & (np.minimum(end, stop) - start >= INSIDE * (end - start))).any())


def _naming_subsets(data: Dataset, *subsets: str) -> tuple[Dataset, str, str]:
    """Return the data set and the names of training and test subset, as the annotations spell them.

    `Dataset.subset` takes any case and short forms, but OpenTAD compares names exactly: one subset has one name.
    """
    parts = [data.subset(subset).videos for subset in subsets]
    names = {video.id: part[0].subset for part in parts for video in part}
    videos = tuple(dataclasses.replace(video, subset=names.get(video.id, video.subset)) for video in data.videos)
    training, test = (str(part[0].subset) for part in parts)
    return dataclasses.replace(data, videos=videos), training, test


def _check_names(data: Dataset) -> None:
    """Raise SolaError for names of videos or classes that a tool would misread."""
    for video in data.videos:
        file_of(video.id, ".npy")  # raises for an id that would leave the folder
    for name in data.classes:
        if "\n" in name or "\r" in name:
            raise SolaError(f"class {name!r}: would be two lines of {CLASSES}; expected a name on one line")


def _check_subsets(chosen: Dataset, written: Sequence[Video], skipped: Mapping[str, str], *subsets: str) -> None:
    """Raise SolaError if no video of a subset is left."""
    for subset in subsets:
        if any(video.subset == subset for video in written):
            continue
        bad = {video.feature_id: skipped[video.feature_id] for video in chosen.videos if video.subset == subset}
        if bad:
            raise none_left(bad, len(bad))
        raise SolaError(
            f"subset {subset!r}: none of its videos has an instance in its features to train on; annotate some, or "
            "name another subset by --train-subset"
        )


def _write_features(
    data: Dataset, folder: Path, skipped: dict[str, str], progress: Callable[[int, int], None]
) -> tuple[Video, ...]:
    """Write arrays and manifest, and return the videos that were written."""
    folder.mkdir()
    written, dtype, cure = [], np.dtype(np.float32), "scale the features down"
    for done, (video, array) in enumerate(data.items(skipped), 1):
        single = to_dtype(array, dtype, what=f"video {video.id!r}: a value", cure=cure)
        path = folder / file_of(video.id, ".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.ascontiguousarray(single))
        written.append(video)
        progress(done, len(data))
    features = data.features
    dataclasses.replace(features.manifest, dim=features.channels, layout=None).write(folder)
    return tuple(written)


def _classes(names: tuple[str, ...], videos: Sequence[Video]) -> tuple[str, ...]:
    """Return the classes that occur, since ActionFormer compares their number with the file."""
    labels = np.unique(np.concatenate([video.segments.label for video in videos]))
    if not len(labels):
        raise SolaError("the videos that have features have no instance; expected annotated ones")
    return tuple(names[label] for label in labels.tolist())


def _entry(video: Video, fps: float, names: tuple[str, ...], classes: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the entry of a video in annotations.json."""
    segments, grid, duration = video.segments, video.grid, video.duration
    if duration is None:
        end = (grid.offset + (video.length - 1) * grid.stride + grid.window) / grid.fps
        duration = max([end, *segments.end.tolist()])
    instances = zip(segments.start.tolist(), segments.end.tolist(), segments.label.tolist(), strict=True)
    return {
        "subset": video.subset,
        "duration": duration,
        "fps": fps,
        "frame": fps * duration,
        "annotations": [
            {"segment": [start, end], "label": names[label], "label_id": classes.index(names[label])}
            for start, end, label in instances
        ],
    }
