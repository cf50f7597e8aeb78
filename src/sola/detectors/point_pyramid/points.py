"""Points of the temporal pyramid and their targets (ActionFormer, section 3.3).

Point i of level l, with stride s = 2^l, is at s·i + ½ units, the center of snippet s·i. A unit is the distance between
two snippets, and a clip of T snippets covers the units [0, T].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sola.core.checks import at_least, positive
from sola.core.errors import SolaError

LONGEST = 10_000.0
"""Maximum distance from a point to the farther end of an action (units)."""

SAME_LENGTH = 1e-3
"""Length difference (units) from the shortest action at a point up to which another action also adds its class."""


@runtime_checkable
class Prediction(Protocol):
    """Interface of a prediction for decoding, with one entry per level, finest first."""

    @property
    def logits(self) -> tuple[Float[Tensor, "batch _ classes"], ...]:
        """Logit of each class; 0 in the padding."""

    @property
    def masks(self) -> tuple[Bool[Tensor, "batch _"], ...]:
        """True at points inside the clip."""

    def offsets_at(
        self, level: int, clip: int, point: Int[Tensor, " chosen"], label: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "chosen 2"]:
        """Return the distances from points of a clip to the start and end of an action of a class (strides)."""


@dataclass(frozen=True, eq=False)
class PointPrediction:
    """The prediction at every point, with one entry per level, finest first."""

    logits: tuple[Float[Tensor, "batch _ classes"], ...]
    """Logit of each class; 0 in the padding."""
    offsets: tuple[Float[Tensor, "batch _ 2"], ...]
    """Distances from the point to start and end (strides of its level), not negative."""
    masks: tuple[Bool[Tensor, "batch _"], ...]
    """True at points inside the clip."""

    def offsets_at(
        self, level: int, clip: int, point: Int[Tensor, " chosen"], label: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "chosen 2"]:
        """Return the distances from points of a clip to start and end (strides), which are the same for all classes."""
        return self.offsets[level][clip, point]


@dataclass(frozen=True, eq=False)
class PointTargets:
    """Targets of a batch at all points, finest level first."""

    classes: Float[Tensor, "batch points classes"]
    """1 for the classes of the action at the point, otherwise 0; all 0 for background."""
    offsets: Float[Tensor, "batch points 2"]
    """Distances from the point to start and end (strides of its level), undefined for background."""


class PointPyramid:
    """Points at every level of a pyramid.

    Args:
        levels: number of levels.
        ranges: least and largest distance from a point to the farther end of an action for each level (units). The
            default is [0, 4], [4, 8], [8, 16] and so on; the last range ends at 10,000.
        radius: maximum distance of a positive point from the center of an action (strides).

    Raises:
        SolaError: if a value is out of range.
    """

    def __init__(
        self, levels: int = 6, *, ranges: Sequence[tuple[float, float]] | None = None, radius: float = 1.5
    ) -> None:
        at_least(1, levels=levels)
        positive(radius=radius)
        if ranges is None:
            steps = [0.0, *(4.0 * 2**level for level in range(levels - 1)), LONGEST]
            ranges = list(pairwise(steps))
        if len(ranges) != levels or any(not 0 <= low < high for low, high in ranges):
            raise SolaError(f"ranges={list(ranges)}: expected (least, largest) for each of the {levels} levels")
        self.ranges, self.radius = tuple(ranges), radius
        self.strides: tuple[int, ...] = tuple(2**level for level in range(levels))

    def lengths(self, snippets: int) -> tuple[int, ...]:
        """Return the number of points of each level for clips of this many snippets, including padding."""
        coarsest = -(-snippets // self.strides[-1])
        return tuple(coarsest * self.strides[-1] // stride for stride in self.strides)

    def positions(self, level: int, points: int) -> Float[Tensor, " points"]:
        """Return the positions (units) of the first points of a level."""
        return torch.arange(points, dtype=torch.float64) * self.strides[level] + 0.5

    def grid(self, lengths: Sequence[int]) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
        """Return position and stride (units) of all points, finest level first; `lengths` has the points per level."""
        position = torch.cat([self.positions(level, count) for level, count in enumerate(lengths)])
        stride = torch.tensor(self.strides, dtype=torch.float64).repeat_interleave(torch.tensor(lengths))
        return position, stride

    def targets(
        self,
        instances: Sequence[Float[Tensor, "_ 2"]],
        labels: Sequence[Int[Tensor, " _"]],
        snippets: int,
        classes: int,
    ) -> PointTargets:
        """Return the targets of clips.

        The target of a point is the shortest action that contains it, has its center less than `radius` strides away
        and its farther end within the range of the level. Of equally long actions, the first is the target. Actions up
        to 0.001 units longer also add their classes.

        Args:
            instances: start and end of the instances of each clip (units).
            labels: class of each instance.
            snippets: length of the clips (snippets).
            classes: number of classes.

        Raises:
            SolaError: if there is not one label per instance, or a label is not a class.
        """
        if len(instances) != len(labels) or any(len(a) != len(b) for a, b in zip(instances, labels, strict=False)):
            raise SolaError("the numbers of instances and labels differ; expected one label per instance")
        lengths = self.lengths(snippets)
        point, stride = (column[:, None] for column in self.grid(lengths))
        count = torch.tensor(lengths)
        low, high = torch.tensor(self.ranges, dtype=torch.float64).repeat_interleave(count, dim=0)[:, :, None].unbind(1)

        def clip_targets(segment: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
            if not len(label):
                return torch.zeros(len(point), classes), torch.zeros(len(point), 2)
            if label.min() < 0 or label.max() >= classes:
                raise SolaError(f"label {int(label.min())} … {int(label.max())}: expected classes 0 … {classes - 1}")
            start, end = segment.T
            left, right = point - start, end - point
            farther = torch.maximum(left, right)
            inside = torch.minimum(left, right) > 0
            inside &= (point - (start + end) / 2).abs() < stride * self.radius
            inside &= (farther >= low) & (farther <= high)
            length = torch.where(inside, end - start, torch.inf)
            chosen = length.argmin(dim=1, keepdim=True)
            same_length = (length <= length.gather(1, chosen) + SAME_LENGTH) & inside
            present = (same_length.float() @ F.one_hot(label.long(), classes).float()).clamp_(max=1)
            offsets = torch.cat([left.gather(1, chosen), right.gather(1, chosen)], dim=1) / stride
            return present, offsets.float()

        clips = [
            clip_targets(segment.double().cpu(), label.cpu()) for segment, label in zip(instances, labels, strict=True)
        ]
        return PointTargets(*map(torch.stack, zip(*clips, strict=True)))
