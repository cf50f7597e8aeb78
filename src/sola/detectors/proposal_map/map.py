"""The map of candidate proposals of BMN and G-TAD, its prediction, and its targets.

A clip of T snippets covers the units [0, T]. A cell of the map is a proposal [start, end] in whole units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sola.core.checks import at_least, one_of
from sola.core.errors import SolaError

Layout = Literal["duration_start", "start_end"]

MOST_CELLS = 2**22
"""Maximum number of cells, 2,048 × 2,048; a larger map takes gigabytes of memory."""
REGION = 1.5
"""Size of the region on each side of a boundary (units)."""


@dataclass(frozen=True, eq=False)
class MapPrediction:
    """Probabilities that BMN and G-TAD predict for a batch of clips."""

    confidence: Float[Tensor, "batch 2 rows columns"]
    """Confidence of each cell: its IoU (channel 0, regression) and its probability (channel 1, classification)."""
    start: Float[Tensor, "batch time"]
    """Probability that an action starts at each snippet."""
    end: Float[Tensor, "batch time"]
    """Probability that an action ends at each snippet."""


@dataclass(frozen=True, eq=False)
class MapTargets:
    """Targets of a `MapPrediction`, all in [0, 1]."""

    iou: Float[Tensor, "batch rows columns"]
    """Best IoU of each cell with an instance, 0 for invalid cells."""
    start: Float[Tensor, "batch time"]
    """Overlap of each snippet with the start of an instance."""
    end: Float[Tensor, "batch time"]
    """Overlap of each snippet with the end of an instance."""

    def to(self, device: torch.device | str) -> "MapTargets":
        """Return the targets on a device."""
        return MapTargets(self.iou.to(device), self.start.to(device), self.end.to(device))


@dataclass(frozen=True)
class ProposalMap:
    """The proposals of the cells of a map.

    Raises:
        SolaError: if a size is below 1, the map has more than 4 million cells, the maximum duration exceeds the length,
            or the layout is unknown.
    """

    length: int
    """Length T of a clip (snippets)."""
    max_duration: int | None = None
    """Duration D of the longest proposal (units), or None for T; shorter than T for sliding windows."""
    layout: Layout = "duration_start"
    """Layout "duration_start" (D × T, cell (d, s) is [s, s+d+1]) or "start_end" (T × T, cell (i, j) is [i, j+1])."""

    def __post_init__(self) -> None:
        at_least(1, length=self.length)
        if self.max_duration is not None and not 1 <= self.max_duration <= self.length:
            raise SolaError(
                f"max_duration={self.max_duration}: expected 1 to {self.length} units, the length of a clip"
            )
        one_of(Layout, layout=self.layout)
        rows, columns = self.shape
        if rows * columns > MOST_CELLS:
            raise SolaError(
                f"map of {rows:,} × {columns:,} cells: expected at most {MOST_CELLS:,}; "
                "choose a smaller length or max_duration"
            )

    @property
    def longest(self) -> int:
        """Duration D of the longest proposal (units)."""
        return self.length if self.max_duration is None else self.max_duration

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return (self.longest if self.layout == "duration_start" else self.length), self.length

    @cached_property
    def start(self) -> Int[np.ndarray, "rows columns"]:
        """Start of each cell (units)."""
        row, column = np.indices(self.shape)
        return column if self.layout == "duration_start" else row

    @cached_property
    def end(self) -> Int[np.ndarray, "rows columns"]:
        """End of each cell (units); for some invalid cells, it is before the start or after T."""
        row, column = np.indices(self.shape)
        end: np.ndarray = column + 1 + (row if self.layout == "duration_start" else 0)
        return end

    @cached_property
    def valid(self) -> Bool[np.ndarray, "rows columns"]:
        """Mask of the valid cells, which end after their start, within the clip, and last at most D units."""
        duration = self.end - self.start
        valid: np.ndarray = (duration >= 1) & (duration <= self.longest) & (self.end <= self.length)
        return valid

    def iou_map(self, instances: Float[Tensor, "n 2"]) -> Float[Tensor, "rows columns"]:
        """Return the best IoU of each cell with the instances (start and end in units), or 0 without instances."""
        if len(instances) == 0:
            return instances.new_zeros(self.shape)
        start, end = (torch.from_numpy(units).to(instances)[..., None] for units in (self.start, self.end))
        overlap = (torch.minimum(end, instances[:, 1]) - torch.maximum(start, instances[:, 0])).clamp(min=0)
        union = (end - start) + (instances[:, 1] - instances[:, 0]) - overlap
        valid = torch.from_numpy(self.valid).to(instances.device)
        return torch.where(valid, (overlap / union.clamp(min=1e-12)).amax(-1), 0.0)

    def targets(self, instances: Sequence[Float[Tensor, "_ 2"]], anchor: tuple[float, float]) -> MapTargets:
        """Return the targets of a batch of clips; see `iou_map` and `boundary_targets`."""
        boundaries = [boundary_targets(clip, self.length, anchor) for clip in instances]
        return MapTargets(
            torch.stack([self.iou_map(clip) for clip in instances]),
            torch.stack([start for start, _ in boundaries]),
            torch.stack([end for _, end in boundaries]),
        )


def boundary_targets(
    instances: Float[Tensor, "n 2"], length: int, anchor: tuple[float, float]
) -> tuple[Float[Tensor, " time"], Float[Tensor, " time"]]:
    """Return start and end targets of each snippet t: the maximum of |anchor_t ∩ region| / |anchor_t| over instances.

    anchor_t is [t + anchor[0], t + anchor[1]], and the region is the boundary ± 1.5, all in units. The published
    anchors are (-.5, .5) in JJBOY's BMN, (-.5, 1.5) in G-TAD and mmaction2, and (0, 1) in OpenTAD.
    """
    time = torch.arange(length, dtype=instances.dtype, device=instances.device)[:, None]
    low, high = time + anchor[0], time + anchor[1]

    def coverage(boundary: Tensor) -> Tensor:
        if len(boundary) == 0:
            return boundary.new_zeros(length)
        overlap = torch.minimum(high, boundary + REGION) - torch.maximum(low, boundary - REGION)
        return (overlap / (high - low)).clamp(min=0).amax(-1)

    return coverage(instances[:, 0]), coverage(instances[:, 1])
