"""Videos cut into clips, on which detectors are trained and run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.dataset import Dataset, Video
from sola.data.features import none_left
from sola.data.findings import Finding, seconds
from sola.data.ragged import allocate
from sola.data.segments import Segments
from sola.data.timing import Placement, SnippetGrid

INSIDE = 0.5
"""Minimum share of an instance inside a clip that makes it a training target."""


@dataclass(frozen=True)
class Clipping:
    """Settings that cut a video into clips; raises SolaError for a value below 1, or a stride above the window."""

    length: int | None = 100
    """T, units that a clip is rescaled to; None is as many as `snippets_per_unit` gives."""
    window_size: int | None = None
    """Snippets per clip; None is the whole video."""
    window_stride: int | None = None
    """Snippets from the start of one clip to the start of the next; None is half of `window_size`."""
    snippets_per_unit: int = 1
    """Snippets per unit where `length` is None."""

    def __post_init__(self) -> None:
        at_least(1, **vars(self))
        if self.window_stride is not None and (self.window_size is None or self.window_stride > self.window_size):
            raise SolaError(
                f"window_stride={self.window_stride}: expected a window_size at least as large, or snippets would be "
                "left out"
            )

    def units(self, snippets: int) -> int:
        """Return the number of units in each clip of a video of `snippets`."""
        return self.length or max(round((self.window_size or snippets) / self.snippets_per_unit), 1)

    def starts(self, snippets: int) -> list[int]:
        """Return the first snippet of every clip of a video: every stride, and one that ends with the video."""
        if self.window_size is None or snippets <= self.window_size:
            return [0]
        last = snippets - self.window_size
        return [*range(0, last, self.window_stride or max(self.window_size // 2, 1)), last]

    def placement(self, first: int, snippets: int, grid: SnippetGrid) -> Placement:
        """Return where the clip that begins at snippet `first` of a video of `snippets` lies in time."""
        begin, end = grid.edge(first), grid.edge(first + (self.window_size or snippets))
        return Placement(begin, (end - begin) / self.units(snippets))


class Example(NamedTuple):
    """A training clip."""

    features: Float[np.ndarray, "time channels"]
    instances: Float[Tensor, "n 2"]
    """Start and end of the actions, in units."""
    labels: Int[Tensor, " n"]

    def tensor(self, device: torch.device) -> Float[Tensor, "channels time"]:
        """Return the features on a device, as float32."""
        return torch.from_numpy(np.ascontiguousarray(self.features)).to(device).float().T


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of many videos in the order of videos and time, with all units in one array."""

    values: Float[np.ndarray, "total channels"]
    bounds: Int[np.ndarray, " bounds"]
    """First row of each clip, and the number of rows."""
    videos: tuple[str, ...]
    """Video ids; those of the annotations if there are any."""
    extents: tuple[tuple[float, float], ...]
    """Start and end of each video's features, in seconds."""
    video: Int[np.ndarray, " clips"]
    """Index of each clip's video in `videos`."""
    placements: tuple[Placement, ...]
    instances: tuple[Float[Tensor, "_ 2"], ...]
    """Start and end of each clip's instances, in units, within the clip; empty without annotations."""
    labels: tuple[Int[Tensor, " _"], ...]
    """Classes of the instances."""

    def __len__(self) -> int:
        return len(self.placements)

    @property
    def lengths(self) -> Int[np.ndarray, " clips"]:
        """Number of units of each clip."""
        return np.diff(self.bounds)

    def clip(self, index: int) -> Float[np.ndarray, "length channels"]:
        """Return a view of one clip's features."""
        return self.values[self.bounds[index] : self.bounds[index + 1]]

    def example(self, index: int) -> Example:
        """Return one clip with its instances."""
        return Example(self.clip(index), self.instances[index], self.labels[index])


def rescale(features: Float[np.ndarray, "time channels"], length: int) -> Float[np.ndarray, "length channels"]:
    """Interpolate linearly along time to `length` units, as the published inputs are (corners not aligned)."""
    if len(features) == length:
        return features
    values = torch.from_numpy(np.array(features, np.float32)).T[None]
    rescaled: np.ndarray = F.interpolate(values, length, mode="linear", align_corners=False)[0].T.numpy()
    return rescaled.astype(features.dtype)


def cut(
    data: Dataset,
    clipping: Clipping,
    *,
    keep_empty: bool,
    memory_limit: int | None = None,
    folder: Path | None = None,
    skipped: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Clips:
    """Cut the videos of a data set into clips; without `keep_empty` only those with instances, as for training.

    Clips of more bytes than `memory_limit` are mapped from an unnamed file in `folder`. `skipped` gets the reasons why
    videos with bad files were left out, by id in the features. `progress` is called with (videos done, all videos).
    Raises SolaError for a bad file, a video without timing, or when there is no clip to train on.
    """
    plans: dict[str, list[_Plan]] = {}
    for video in data.videos:
        units = clipping.units(video.length)
        for first in clipping.starts(video.length):
            placement = clipping.placement(first, video.length, video.grid)
            instances, labels = _instances(video.segments, placement, units)
            if keep_empty or len(labels):
                plans.setdefault(video.id, []).append(_Plan(first, units, placement, instances, labels))
    if not plans and not keep_empty:
        found = "".join(f"; {finding}" for finding in (*data.findings, *outside_clips(data, clipping)))
        raise SolaError(f"none of {len(data)} videos gives a clip with an instance in it: nothing to train on{found}")
    dtypes = {data.features.header(video.feature_id).dtype for video in data.videos} or {np.dtype(np.float32)}
    dtype = np.result_type(*dtypes)
    total = sum(plan.units for own in plans.values() for plan in own)
    values = allocate((total, data.features.channels), dtype, memory_limit, folder)
    bounds, owner = [0], []
    videos: list[Video] = []
    done: list[_Plan] = []
    bad: dict[str, str] = {} if skipped is None else skipped
    for count, (video, array) in enumerate(data.only(plans).items(bad), 1):
        for plan in plans[video.id]:
            piece = array if clipping.window_size is None else array[plan.first : plan.first + clipping.window_size]
            missing = (clipping.window_size or len(piece)) - len(piece)
            piece = np.pad(piece, ((0, missing), (0, 0))) if missing else piece
            values[bounds[-1] : bounds[-1] + plan.units] = rescale(piece, plan.units)
            bounds.append(bounds[-1] + plan.units)
            owner.append(len(videos))
            done.append(plan)
        videos.append(video)
        progress(count, len(plans))
    if not done and not keep_empty:
        raise none_left(bad, len(plans))
    return Clips(
        values[: bounds[-1]],
        np.array(bounds, np.int64),
        tuple(video.id for video in videos),
        tuple((video.grid.edge(0), video.grid.edge(video.length)) for video in videos),
        np.array(owner, np.int64),
        tuple(plan.placement for plan in done),
        tuple(plan.instances for plan in done),
        tuple(plan.labels for plan in done),
    )


def outside_clips(data: Dataset, clipping: Clipping) -> list[Finding]:
    """Return the finding that instances within the features are no target of any clip: less than half is inside."""
    lost: list[str] = []
    for video in data.videos:
        covered = (video.segments.end > video.grid.edge(0)) & (video.segments.start < video.grid.edge(video.length))
        left = video.segments.take(covered & (video.segments.end > video.segments.start))
        for first in clipping.starts(video.length):
            placement = clipping.placement(first, video.length, video.grid)
            left = left.take(~_inside(left, placement, clipping.units(video.length))[2])
        lost += [f"{seconds(s)} to {seconds(e)} s in {video.id!r}" for s, e in zip(left.start, left.end, strict=True)]
    return [Finding("outside_clips", len(lost), lost[0], "longer clips hold more of them")] if lost else []


class _Plan(NamedTuple):
    """One clip of a video before its features are read."""

    first: int
    units: int
    placement: Placement
    instances: Float[Tensor, "n 2"]
    labels: Int[Tensor, " n"]


def _instances(segments: Segments, placement: Placement, length: int) -> tuple[Float[Tensor, "n 2"], Int[Tensor, " n"]]:
    """Return segments with at least half inside the clip, in its units and cut at its ends, and their classes."""
    inside_start, inside_end, kept = _inside(segments, placement, length)
    pairs = torch.from_numpy(np.stack([inside_start[kept], inside_end[kept]], axis=1)).float()
    return pairs, torch.from_numpy(segments.label[kept])


def _inside(
    segments: Segments, placement: Placement, length: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return start and end in units of a clip of `length`, cut at its ends, and whether at least half is inside."""
    start, end = placement.units(segments.start), placement.units(segments.end)
    inside_start, inside_end = np.clip(start, 0, length), np.clip(end, 0, length)
    inside = inside_end - inside_start
    return inside_start, inside_end, (inside > 0) & (inside >= INSIDE * (end - start))
