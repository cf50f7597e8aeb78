"""Cut videos into clips for the training and use of detectors."""

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
from sola.data.dataset import Dataset
from sola.data.dataset_video import Video
from sola.data.features import none_left
from sola.data.findings import Finding, seconds
from sola.data.ragged import allocate
from sola.data.segments import Segments
from sola.data.timing import Placement, SnippetGrid

INSIDE = 0.5
"""Minimum share of an instance that must be inside a clip to make it a training target."""


@dataclass(frozen=True)
class Clipping:
    """Settings that cut a video into clips.

    Raises:
        SolaError: if a value is below 1, or the stride is larger than the window.
    """

    length: int | None = 100
    """Length T of a rescaled clip (units), or None to derive it from `snippets_per_unit`."""
    window_size: int | None = None
    """Length of a clip (snippets), or None for the whole video."""
    window_stride: int | None = None
    """Distance between the starts of successive clips (snippets), or None for half of `window_size`."""
    snippets_per_unit: int = 1
    """Snippets per unit if `length` is None."""

    def __post_init__(self) -> None:
        at_least(1, **vars(self))
        if self.window_stride is not None and (self.window_size is None or self.window_stride > self.window_size):
            raise SolaError(
                f"window_stride={self.window_stride}: expected a window_size of at least {self.window_stride}, so that "
                "clips cover all snippets"
            )

    def units(self, snippets: int) -> int:
        """Return the number of units in each clip of a video of `snippets` snippets."""
        return self.length or max(round((self.window_size or snippets) / self.snippets_per_unit), 1)

    def starts(self, snippets: int) -> list[int]:
        """Return the first snippet of every clip of a video; the last clip ends with the video."""
        if self.window_size is None or snippets <= self.window_size:
            return [0]
        last = snippets - self.window_size
        return [*range(0, last, self.window_stride or max(self.window_size // 2, 1)), last]

    def placement(self, first: int, snippets: int, grid: SnippetGrid) -> Placement:
        """Return the placement in time of the clip that starts at snippet `first` of a video of `snippets` snippets."""
        begin, end = grid.edge(first), grid.edge(first + (self.window_size or snippets))
        return Placement(begin, (end - begin) / self.units(snippets))


class Example(NamedTuple):
    """A training clip."""

    features: Float[np.ndarray, "time channels"]
    instances: Float[Tensor, "n 2"]
    """Start and end of the actions (units)."""
    labels: Int[Tensor, " n"]
    """Class of each action."""

    def tensor(self, device: torch.device) -> Float[Tensor, "channels time"]:
        """Return the features on a device as float32."""
        return torch.from_numpy(np.ascontiguousarray(self.features)).to(device).float().T


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of many videos, sorted by video and time, with all units in one array."""

    values: Float[np.ndarray, "total channels"]
    """Features of all units."""
    bounds: Int[np.ndarray, " bounds"]
    """First row of each clip in `values`, followed by the number of rows."""
    videos: tuple[str, ...]
    """Video ids in the annotations, or in the features if there are no annotations."""
    extents: tuple[tuple[float, float], ...]
    """Start and end of the features of each video (seconds)."""
    video: Int[np.ndarray, " clips"]
    """Index in `videos` of the video of each clip."""
    placements: tuple[Placement, ...]
    """Placement of each clip in time."""
    instances: tuple[Float[Tensor, "_ 2"], ...]
    """Start and end of the instances of each clip (units), cut at the ends of the clip; empty without annotations."""
    labels: tuple[Int[Tensor, " _"], ...]
    """Classes of the instances of each clip."""

    def __len__(self) -> int:
        return len(self.placements)

    @property
    def lengths(self) -> Int[np.ndarray, " clips"]:
        """Number of units in each clip."""
        return np.diff(self.bounds)

    def clip(self, index: int) -> Float[np.ndarray, "length channels"]:
        """Return a view of the features of a clip."""
        return self.values[self.bounds[index] : self.bounds[index + 1]]

    def example(self, index: int) -> Example:
        """Return a clip with its instances."""
        return Example(self.clip(index), self.instances[index], self.labels[index])


def rescale(features: Float[np.ndarray, "time channels"], length: int) -> Float[np.ndarray, "length channels"]:
    """Interpolate linearly along time to `length` units, like the published inputs (align_corners=False)."""
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
    """Cut the videos of a data set into clips.

    Args:
        data: videos with features, and annotations for training.
        clipping: settings that cut a video into clips.
        keep_empty: also return clips without instances, as for detection.
        memory_limit: memory for the clips (bytes); larger clips are mapped from a temporary file.
        folder: folder of the temporary file.
        skipped: dictionary that receives the reason for each skipped video with a bad file, by id in the features.
        progress: function that is called with the number of finished videos and the number of all videos.

    Raises:
        SolaError: if a file is bad, a video has no timing, or there is no clip to train on.
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
        findings = "".join(f"; {finding}" for finding in (*data.findings, *outside_clips(data, clipping)))
        raise SolaError(f"no clip with an instance in {len(data)} videos: nothing to train on{findings}")
    dtypes = {data.features.header(video.feature_id).dtype for video in data.videos} or {np.dtype(np.float32)}
    dtype = np.result_type(*dtypes)
    total = sum(plan.units for video_plans in plans.values() for plan in video_plans)
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
    """Return a finding for instances that no clip uses as a target because less than half of each is inside."""
    unused: list[str] = []
    for video in data.videos:
        covered = (video.segments.end > video.grid.edge(0)) & (video.segments.start < video.grid.edge(video.length))
        rest = video.segments.take(covered & (video.segments.end > video.segments.start))
        for first in clipping.starts(video.length):
            placement = clipping.placement(first, video.length, video.grid)
            rest = rest.take(~_inside(rest, placement, clipping.units(video.length))[2])
        unused += [f"{seconds(s)} to {seconds(e)} s in {video.id!r}" for s, e in zip(rest.start, rest.end, strict=True)]
    return [Finding("outside_clips", len(unused), unused[0], "longer clips hold more of them")] if unused else []


class _Plan(NamedTuple):
    """A clip of a video whose features have not been read yet."""

    first: int
    units: int
    placement: Placement
    instances: Float[Tensor, "n 2"]
    labels: Int[Tensor, " n"]


def _instances(segments: Segments, placement: Placement, length: int) -> tuple[Float[Tensor, "n 2"], Int[Tensor, " n"]]:
    """Return the segments with at least half inside the clip, in units and cut at its ends, and their classes."""
    inside_start, inside_end, chosen = _inside(segments, placement, length)
    pairs = torch.from_numpy(np.stack([inside_start[chosen], inside_end[chosen]], axis=1)).float()
    return pairs, torch.from_numpy(segments.label[chosen])


def _inside(
    segments: Segments, placement: Placement, length: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return start and end (units of the clip, cut at its ends), and whether at least half of each is inside."""
    start, end = placement.units(segments.start), placement.units(segments.end)
    inside_start, inside_end = np.clip(start, 0, length), np.clip(end, 0, length)
    inside = inside_end - inside_start
    return inside_start, inside_end, (inside > 0) & (inside >= INSIDE * (end - start))
