"""Videos cut into clips of equal length, which is what the boundary-map heads are trained on and run over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sola.data.annotations import VideoAnnotation
from sola.data.features import FeatureSet
from sola.data.header import Header
from sola.data.packing import allocate
from sola.data.timing import snippet_grid
from sola.errors import SolaError
from sola.grid import SnippetGrid
from sola.heads.base import Placement
from sola.segments import Segments

INSIDE = 0.5
"""Share of an instance that has to lie in a clip for the clip to be trained to find it."""


@dataclass(frozen=True)
class Clipping:
    """How a video is cut: whole, or in overlapping windows; either way each clip is rescaled to `length` units.

    Raises SolaError for a value below 1, or a hop longer than the span.
    """

    length: int = 100
    """T, units of a clip."""
    span: int | None = None
    """Snippets that a clip covers; None is the whole video."""
    hop: int | None = None
    """Snippets from the start of one clip to that of the next; None is half the span."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise SolaError(f"{name}={value}: expected a whole number of at least 1")
        if self.hop is not None and (self.span is None or self.hop > self.span):
            raise SolaError(f"hop={self.hop}: expected a span at least as long, or snippets would be left out")

    def starts(self, snippets: int) -> list[int]:
        """First snippet of every clip of a video: every `hop`, and at last one that ends with the video."""
        if self.span is None or snippets <= self.span:
            return [0]
        last = snippets - self.span
        return [*range(0, last, self.hop or max(self.span // 2, 1)), last]

    def placement(self, first: int, snippets: int, grid: SnippetGrid) -> Placement:
        """Where a clip that begins at snippet `first` of a video of `snippets` lies in time."""
        begin, end = grid.edge(first), grid.edge(first + (self.span or snippets))
        return Placement(begin, (end - begin) / self.length)


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of many videos, in the order of the videos and of time."""

    values: Float[np.ndarray, "clips length channels"]
    videos: tuple[str, ...]
    """Ids, as the annotations have them where there are some."""
    video: Int[np.ndarray, " clips"]
    """Index of each clip's video."""
    placements: tuple[Placement, ...]
    instances: tuple[Float[Tensor, "_ 2"], ...]
    """Start and end of each clip's instances, in units, within [0, T]; empty where there are no annotations."""

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, index: Int[np.ndarray, " batch"], device: torch.device) -> Float[Tensor, "batch channels length"]:
        """Features of these clips, float32."""
        values = torch.from_numpy(np.ascontiguousarray(self.values[index]))
        return values.to(device).float().transpose(1, 2)


def rescale(features: Float[np.ndarray, "time channels"], length: int) -> Float[np.ndarray, "length channels"]:
    """Interpolate linearly along time to `length` units, as the published inputs are (corners not aligned)."""
    if len(features) == length:
        return features
    values = torch.from_numpy(np.array(features, np.float32)).T[None]
    rescaled: np.ndarray = F.interpolate(values, length, mode="linear", align_corners=False)[0].T.numpy()
    return rescaled.astype(features.dtype)


def cut(
    features: FeatureSet,
    records: Mapping[str, VideoAnnotation | None],
    clipping: Clipping,
    *,
    keep_empty: bool,
    memory_limit: int | None = None,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Clips:
    """Cut the videos of `records` into clips.

    Args:
        features: per-video arrays [time, channels].
        records: annotation by id in `features`, None for a video without one; the clips' videos are named by it.
        clipping: how.
        keep_empty: whether clips without instances are kept: to predict, and not to train.
        memory_limit: bytes above which the clips are mapped from an unnamed file in `folder`.
        folder: for that file.
        progress: called with (videos done, videos in all).

    Raises:
        SolaError: for a bad file, a video that nothing times, or when there is no clip to train on.
    """
    headers: dict[str, Header] = {}
    for id_ in records:
        try:
            headers[id_] = features.header(id_)
        except SolaError as error:
            features.skip(id_, error)
    plans = []
    for id_, header in headers.items():
        record, snippets = records[id_], header.shape[0]
        grid = snippet_grid(id_, snippets, features.manifest, record)
        for first in clipping.starts(snippets):
            placement = clipping.placement(first, snippets, grid)
            segments = Segments.empty() if record is None else record.segments
            instances = _instances(segments, placement, clipping.length)
            if keep_empty or len(instances):
                plans.append((id_, first, placement, instances))
    if not plans and not keep_empty:
        raise SolaError(f"none of {len(records)} videos gives a clip with an instance in it: nothing to train on")
    dtype = np.result_type(*{header.dtype for header in headers.values()} or {np.dtype(np.float32)})
    values = allocate((len(plans), clipping.length, features.channels), dtype, memory_limit, folder)
    done = 0
    clips: list[tuple[int, Placement, Tensor]] = []
    names: dict[str, int] = {}
    by_video: dict[str, list[int]] = {}
    for index, (id_, *_) in enumerate(plans):
        by_video.setdefault(id_, []).append(index)
    for id_, own in by_video.items():
        try:
            array = features.read(id_)
        except SolaError as error:
            features.skip(id_, error)
            continue
        record = records[id_]
        position = names.setdefault(id_ if record is None else record.video, len(names))
        for index in own:
            first = plans[index][1]
            piece = array if clipping.span is None else array[first : first + clipping.span]
            missing = (clipping.span or len(piece)) - len(piece)
            piece = np.pad(piece, ((0, missing), (0, 0))) if missing else piece
            values[len(clips)] = rescale(piece, clipping.length)
            clips.append((position, plans[index][2], plans[index][3]))
        done += 1
        progress(done, len(by_video))
    if not clips and not keep_empty:
        raise SolaError(f"none of {len(records)} videos can be read")
    return Clips(
        values[: len(clips)],
        tuple(names),
        np.array([position for position, _, _ in clips], np.int64),
        tuple(placement for _, placement, _ in clips),
        tuple(instances for _, _, instances in clips),
    )


def _instances(segments: Segments, placement: Placement, length: int) -> Float[Tensor, "_ 2"]:
    """Segments of which at least half lies in the clip, in its units and cut at its ends."""
    start, end = placement.units(segments.start), placement.units(segments.end)
    inside_start, inside_end = np.clip(start, 0, length), np.clip(end, 0, length)
    inside = inside_end - inside_start
    kept = (inside > 0) & (inside >= INSIDE * (end - start))
    return torch.from_numpy(np.stack([inside_start[kept], inside_end[kept]], axis=1)).float()
