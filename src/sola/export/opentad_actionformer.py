"""Export of features, annotations, classes and configurations for ActionFormer and OpenTAD."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sola.core.errors import SolaError
from sola.core.files import new_folder, write_json, write_text
from sola.data.dataset import Dataset
from sola.data.dataset_video import Video
from sola.data.features import none_left
from sola.data.formats.base import to_dtype
from sola.data.names import file_of
from sola.data.segments import Segments
from sola.data.timing import SnippetGrid
from sola.export.clock import Clock, common_clock
from sola.export.configurations import ANNOTATIONS, CLASSES, FEATURES, ExportedData, actionformer_yaml, opentad_py

MIN_DURATION = 1e-3
"""Minimum duration (seconds) of an instance; ActionFormer drops shorter ones."""
MIN_INSIDE = 0.5
"""Minimum fraction of an instance inside the features for ActionFormer to train on it (trunc_thresh)."""


@dataclass(frozen=True)
class ExportedDataset:
    """Contents of an exported folder."""

    videos: tuple[str, ...]
    """Ids of the exported videos."""
    left_out: tuple[str, ...]
    """Ids of training videos that were dropped because they have no instance to train on; training would fail."""
    classes: tuple[str, ...]
    """Class names in the order of their label ids."""
    clock: Clock
    """Snippet times in frames, as written to the configurations."""


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
    """Write features and annotations of all subsets for ActionFormer and OpenTAD.

    The folder contains features/<video>.npy (float32, [time, channels]), annotations.json (ActivityNet format),
    category_idx.txt, actionformer.yaml and opentad.py.

    Args:
        data: features and annotations. A missing duration is set to the end of the features or of the last instance.
        out: new folder.
        train_subset: training subset in both configurations.
        test_subset: evaluation subset in both configurations.
        overwrite: replace a folder written by this function.
        skipped: dictionary that receives the reasons for skipped videos, by feature id. Videos with bad feature files
            are skipped if the data set was opened with `skip_bad`.
        progress: called with the number of exported videos and the total.

    Returns:
        The exported videos, the dropped videos, the classes and the snippet times.

    Raises:
        SolaError: for an unknown subset, a bad feature file, an existing folder, a subset without videos, or snippet
            times that the tools cannot express (see `common_clock`).

    Examples:
        >>> import sola
        >>> from pathlib import Path
        >>> data = sola.Dataset.open("features", "annotations.json")
        >>> exported = sola.export_dataset(data, Path("exported"))
        >>> len(exported.videos), len(exported.classes)
        (9, 2)
        >>> sorted(path.name for path in Path("exported").iterdir())
        ['actionformer.yaml', 'annotations.json', 'category_idx.txt', 'features', 'opentad.py']
    """
    out = Path(out).resolve()
    if any(stream.source.resolve().is_relative_to(out) for stream in data.features.streams):
        raise SolaError(f"{out}: contains the input features; choose another folder")
    if ".hdf5" in str(out):
        raise SolaError(f"{out}: ActionFormer treats a path containing .hdf5 as an archive; choose another folder")
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
    """Return True if ActionFormer keeps any instance (libs/datasets/anet.py), without which its training fails."""
    start, end = grid.index(segments.start), grid.index(segments.end)
    stop = length - grid.index(0.0)  # ActionFormer's end of the features: `length` plus the first center in strides
    long_enough = segments.end - segments.start >= MIN_DURATION
    return bool((long_enough & (start < stop) & (np.minimum(end, stop) - start >= MIN_INSIDE * (end - start))).any())


def _naming_subsets(data: Dataset, *subsets: str) -> tuple[Dataset, str, str]:
    """Return the data set with unified subset names, and the names of the training and test subset in the annotations.

    `Dataset.subset` ignores case and accepts short forms, but OpenTAD compares exactly, so each subset gets one name.
    """
    parts = [data.subset(subset).videos for subset in subsets]
    names = {video.id: part[0].subset for part in parts for video in part}
    videos = tuple(dataclasses.replace(video, subset=names.get(video.id, video.subset)) for video in data.videos)
    training, test = (str(part[0].subset) for part in parts)
    return dataclasses.replace(data, videos=videos), training, test


def _check_names(data: Dataset) -> None:
    """Raise SolaError for video ids or class names that a tool would misread."""
    for video in data.videos:
        file_of(video.id, ".npy")  # raises for an id that points outside the folder
    for name in data.classes:
        if "\n" in name or "\r" in name:
            raise SolaError(f"class {name!r}: would be two lines in {CLASSES}; remove the line break")


def _check_subsets(chosen: Dataset, written: Sequence[Video], skipped: Mapping[str, str], *subsets: str) -> None:
    """Raise SolaError if a subset has no exported video."""
    for subset in subsets:
        if any(video.subset == subset for video in written):
            continue
        bad = {video.feature_id: skipped[video.feature_id] for video in chosen.videos if video.subset == subset}
        if bad:
            raise none_left(bad, len(bad))
        raise SolaError(
            f"subset {subset!r}: none of its videos has an instance inside its features to train on; annotate some, or "
            "choose another subset with --train-subset"
        )


def _write_features(
    data: Dataset, folder: Path, skipped: dict[str, str], progress: Callable[[int, int], None]
) -> tuple[Video, ...]:
    """Write arrays and manifest, and return the written videos."""
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
    """Return the classes that occur. ActionFormer requires num_classes to match the file."""
    labels = np.unique(np.concatenate([video.segments.label for video in videos]))
    if not len(labels):
        raise SolaError("no video with features has an annotated instance; annotate some")
    return tuple(names[label] for label in labels.tolist())


def _entry(video: Video, fps: float, names: tuple[str, ...], classes: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a video's entry in annotations.json."""
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
