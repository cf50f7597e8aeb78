"""Batches, targets, loss and decoding shared by detectors on a pyramid of points."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.base import Detector
from sola.detectors.point_pyramid.backbone import Level, PyramidBackbone
from sola.detectors.point_pyramid.convolution import draw_paths
from sola.detectors.point_pyramid.loss import PointCriterion
from sola.detectors.point_pyramid.points import PointPyramid, PointTargets, Prediction


class PointDetector(Detector):
    """A detector in which every point of a temporal pyramid predicts an action and its boundaries.

    A subclass adds `backbone` and `criterion`.

    Args:
        channels: number of feature channels.
        classes: number of classes, or None for class-agnostic proposals with label 0.
        levels: number of levels of the pyramid.
        length: length of the longest training clip (snippets), a multiple of the coarsest stride 2^(levels - 1).
        ranges: see `PointPyramid`.
        radius: see `PointPyramid`.
        threshold: score that a segment must exceed in `decode`.
        candidates: maximum number of segments per level in `decode`.
        min_duration: duration that a segment must exceed in `decode` (units).

    Raises:
        SolaError: if a value is out of range.
    """

    backbone: PyramidBackbone
    criterion: PointCriterion

    def __init__(
        self,
        channels: int,
        classes: int | None,
        levels: int,
        *,
        length: int,
        ranges: Sequence[tuple[float, float]] | None,
        radius: float,
        threshold: float,
        candidates: int,
        min_duration: float,
    ) -> None:
        super().__init__()
        at_least(1, classes=classes, candidates=candidates)
        self.pyramid = PointPyramid(levels, ranges=ranges, radius=radius)
        if length < 1 or length % self.pyramid.strides[-1]:
            raise SolaError(
                f"length={length}: expected a multiple of {self.pyramid.strides[-1]}, the stride of the coarsest level"
            )
        self.channels, self.length = channels, length
        self.classes, self.predicts_classes = classes or 1, classes is not None
        self.threshold, self.candidates, self.min_duration = threshold, candidates, min_duration

    @abstractmethod
    def padded_length(self, snippets: int) -> int:
        """Return the padded length (snippets) of clips up to `snippets` long that gives the published outputs."""

    def with_padding(self, snippets: int) -> int:
        """Return a length with one coarsest stride of padding, for networks where more padding has no effect."""
        coarsest = self.pyramid.strides[-1]
        return (-(-snippets // coarsest) + 1) * coarsest

    def collate(
        self, clips: Sequence[Float[Tensor, "channels _"]]
    ) -> tuple[Float[Tensor, "batch channels time"], Bool[Tensor, "batch time"]]:
        """Return clips of any length as a batch of `padded_length`, and a mask that is True at their snippets.

        Raises:
            SolaError: if there is no clip, or a clip without snippets.
        """
        lengths = [clip.shape[1] for clip in clips]
        if not lengths or min(lengths) < 1:
            raise SolaError(f"clips of {lengths} snippets: expected at least one clip, each with at least one snippet")
        time = self.padded_length(max(lengths))
        # channels last in memory, the layout that the network uses
        batch = clips[0].new_zeros(len(clips), time, clips[0].shape[0])
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.shape[1]] = clip.T
        mask = torch.arange(time, device=batch.device) < torch.tensor(lengths, device=batch.device)[:, None]
        return batch.transpose(1, 2), mask

    def noise(self, clips: int, device: torch.device) -> tuple[Tensor, ...]:
        """Draw the random numbers that decide which branches of the network each clip skips in training."""
        return (draw_paths(len(self.backbone.stem) + len(self.backbone.branch), clips, device).T,)

    def features_at(
        self,
        features: Float[Tensor, "batch channels time"],
        mask: Bool[Tensor, "batch time"] | None,
        paths: Float[Tensor, "batch branches"] | None,
    ) -> list[Level]:
        """Return the levels of the backbone for features, padded to a multiple of the coarsest stride.

        `mask` is True at snippets and False in the padding, whose features are ignored; None means no padding.

        Raises:
            SolaError: if the features have another number of channels than the network.
        """
        if features.shape[1] != self.channels:
            raise SolaError(
                f"features have {features.shape[1]} channels; this {type(self).__name__} was built for {self.channels}"
            )
        if mask is not None and bool(mask.all()):
            mask = None
        x = features.transpose(1, 2)
        missing = -x.shape[1] % self.pyramid.strides[-1]
        if missing and mask is None:
            mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        if mask is not None:
            mask = F.pad(mask, (0, missing), value=False)
            x = F.pad(x, (0, 0, 0, missing)).masked_fill(~mask[:, :, None], 0)
        levels: list[Level] = self.backbone(x, mask, None if paths is None else paths.T)
        return levels

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> PointTargets:
        """Return the targets of a batch of `length` snippets; a network without classes ignores the labels.

        Raises:
            SolaError: if there is not one label per instance, or a label is not a class.
        """
        return self.pyramid.targets(instances, self.known(labels), length, self.classes)

    def known(self, labels: Sequence[Int[Tensor, " _"]]) -> Sequence[Int[Tensor, " _"]]:
        """Return the labels that the network predicts: all 0 for a network without classes."""
        return labels if self.predicts_classes else [torch.zeros_like(label) for label in labels]

    def loss(self, output: Prediction, targets: PointTargets, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss of classes and boundaries; in training, this updates the running normalizer."""
        total: Tensor = self.criterion(output, targets).total
        return total

    def decode(self, output: Prediction) -> list[Segments]:
        """Return the segments of each clip (units) with the best scores of each level, before suppression.

        A point predicts a segment for each class whose score, the sigmoid of its logit, is above the threshold.
        Segments may extend beyond the clip.
        """
        parts: list[list[tuple[np.ndarray, ...]]] = [[] for _ in output.logits[0]]
        for level, (logits, mask) in enumerate(zip(output.logits, output.masks, strict=True)):
            score = logits.detach().float().sigmoid().mul_(mask[:, :, None]).flatten(1).cpu()
            position, stride = self.pyramid.positions(level, logits.shape[1]), self.pyramid.strides[level]
            for clip, (part, value) in enumerate(zip(parts, score, strict=True)):
                index = (value > self.threshold).nonzero().squeeze(1)
                index = index[value[index].argsort(descending=True, stable=True)[: self.candidates]]
                point, label = index.div(self.classes, rounding_mode="floor"), index % self.classes
                offsets = output.offsets_at(level, clip, point.to(logits.device), label.to(logits.device))
                extent = offsets.detach().cpu().double() * stride
                start, end = position[point] - extent[:, 0], position[point] + extent[:, 1]
                lasting = end - start > self.min_duration
                columns = (start, end, label, value[index].double())
                part.append(tuple(column[lasting].numpy() for column in columns))
        return [Segments(*map(np.concatenate, zip(*levels, strict=True))) for levels in parts]
