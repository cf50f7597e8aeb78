"""ActionFormer (Zhang et al., ECCV 2022): every point of a pyramid in time predicts its action and the boundaries."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.data.segments import Segments
from sola.detectors.actionformer.backbone import PyramidBackbone
from sola.detectors.actionformer.blocks import draw_paths
from sola.detectors.actionformer.loss import ActionFormerLoss
from sola.detectors.actionformer.outputs import PointLayers, in_a_row, of_levels
from sola.detectors.actionformer.points import PointPrediction, PointPyramid, PointTargets
from sola.detectors.base import Detector

PRIOR = 0.01
"""Probability of each class that training starts from (Lin et al., ICCV 2017, section 4.1)."""

THUMOS_WINDOWS = (19,) * 6


class ActionFormer(Detector):
    """Actions, with or without classes, from the snippet features of clips of any length.

    The defaults are the authors' for THUMOS14: 29,251,612 parameters at 2048 channels and 20 classes. For ActivityNet
    they take `classes=None, length=192, width=256, windows=(7, 7, 7, 7, 7, None), absolute_position=True,
    min_duration=.001` on clips rescaled to 192 snippets. Initial weights are those of their program. The state dict
    includes the running normalizer of the loss.

    `classes=None` is one output, "an action", and proposals with label 0. `length`, snippets of the longest training
    clip, is a multiple of the coarsest stride, 2^(levels - 1); it determines the padding (see `padded_length`) and the
    number of absolute positions. `decode` returns segments with a score above `threshold` and longer than
    `min_duration` units, at most `candidates` per level. See `PyramidBackbone`, `PointLayers` (`head_width`),
    `PointPyramid` and `ActionFormerLoss` for the other parameters.

    Raises SolaError for a value out of range.
    """

    def __init__(
        self,
        channels: int,
        classes: int | None = None,
        *,
        length: int = 2304,
        width: int = 512,
        windows: Sequence[int | None] = THUMOS_WINDOWS,
        heads: int = 4,
        convolutions: int = 2,
        stem: int = 2,
        head_width: int | None = None,
        absolute_position: bool = False,
        dropout: float = 0.0,
        drop_path: float = 0.1,
        ranges: Sequence[tuple[float, float]] | None = None,
        radius: float = 1.5,
        threshold: float = 1e-3,
        candidates: int = 2000,
        min_duration: float = 0.05,
        regression_weight: float = 1.0,
        label_smoothing: float = 0.0,
        normalizer: float = 100.0,
    ) -> None:
        super().__init__()
        at_least(1, classes=classes, candidates=candidates)
        self.pyramid = PointPyramid(len(windows), ranges=ranges, radius=radius)
        if length < 1 or length % self.pyramid.strides[-1]:
            raise SolaError(
                f"length={length}: expected a multiple of {self.pyramid.strides[-1]}, the stride of the coarsest level"
            )
        self.channels, self.length, self.windows = channels, length, tuple(windows)
        self.classes, self.predicts_classes = classes or 1, classes is not None
        self.threshold, self.candidates, self.min_duration = threshold, candidates, min_duration
        self.backbone = PyramidBackbone(
            channels,
            width,
            windows,
            heads=heads,
            convolutions=convolutions,
            stem=stem,
            positions=length if absolute_position else None,
            dropout=dropout,
            drop_path=drop_path,
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in windows)
        self.classifier = PointLayers(width, head_width or width, self.classes, bias=-math.log((1 - PRIOR) / PRIOR))
        self.regressor = PointLayers(width, head_width or width, 2)
        self.offset_scale = nn.Parameter(torch.ones(len(windows)))
        self.criterion = ActionFormerLoss(
            regression_weight=regression_weight, label_smoothing=label_smoothing, normalizer=normalizer
        )

    def padded_length(self, snippets: int) -> int:
        """Return the length to pad clips of up to `snippets` to, for outputs equal to the published program's.

        That program pads to `length`, and beyond it to a multiple of stride times window less one. But a snippet
        depends only on whether padding follows, not on its length: one coarsest stride of it is enough.
        """
        published = self.length
        if snippets > self.length:
            levels = zip(self.pyramid.strides, self.windows, strict=True)
            step = max(stride * (window - 1 if window is not None and window > 1 else 1) for stride, window in levels)
            published = -(-snippets // step) * step
            if self.backbone.position is not None:  # which is stretched to the padded length
                return published
        coarsest = self.pyramid.strides[-1]
        return min(published, (-(-snippets // coarsest) + 1) * coarsest)

    def collate(
        self, clips: Sequence[Float[Tensor, "channels _"]]
    ) -> tuple[Float[Tensor, "batch channels time"], Bool[Tensor, "batch time"]]:
        """Return clips of any lengths as one batch of `padded_length`, and the mask that is True at their snippets.

        Raises SolaError when there is no clip, or one without snippets.
        """
        lengths = [clip.shape[1] for clip in clips]
        if not lengths or min(lengths) < 1:
            raise SolaError(f"clips of {lengths} snippets: expected at least one clip, and a snippet in each")
        time = self.padded_length(max(lengths))
        # channels last in memory: what the network computes on
        batch = clips[0].new_zeros(len(clips), time, clips[0].shape[0])
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.shape[1]] = clip.T
        mask = torch.arange(time, device=batch.device) < torch.tensor(lengths, device=batch.device)[:, None]
        return batch.transpose(1, 2), mask

    def noise(self, clips: int, device: torch.device) -> tuple[Float[Tensor, "batch branches"]]:
        """Draw the numbers that decide in training which clips skip which branch of the network."""
        return (draw_paths(len(self.backbone.stem) + len(self.backbone.branch), clips, device).T,)

    def forward(
        self,
        features: Float[Tensor, "batch channels time"],
        mask: Bool[Tensor, "batch time"] | None = None,
        paths: Float[Tensor, "batch branches"] | None = None,
    ) -> PointPrediction:
        """Return the raw prediction of every point; the features are padded to a multiple of the coarsest stride.

        `mask` is True at snippets, False in the padding, whose features have no influence; None is all True. `paths`
        are from `noise`, drawn here where None, and without effect outside training. Raises SolaError for features of
        another width than the network was built for.
        """
        if features.shape[1] != self.channels:
            raise SolaError(
                f"features have {features.shape[1]} channels; this ActionFormer was built for {self.channels}"
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
        levels = self.backbone(x, mask, None if paths is None else paths.T)
        row, row_mask, gaps = in_a_row([norm(x) for norm, (x, _) in zip(self.norms, levels, strict=True)], mask)
        lengths = [x.shape[1] for x, _ in levels]
        logits = of_levels(self.classifier(row, row_mask, gaps), lengths)
        offsets = of_levels(self.regressor(row, row_mask, gaps), lengths)
        return PointPrediction(
            logits,
            tuple((offset * scale).relu() for offset, scale in zip(offsets, self.offset_scale, strict=True)),
            tuple(x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask for x, mask in levels),
        )

    def targets(
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> PointTargets:
        """Return the targets of a batch of `length` snippets; labels are ignored where the network predicts none.

        Raises SolaError when labels are not one for each instance, or not among the classes.
        """
        if not self.predicts_classes:
            labels = [torch.zeros_like(label) for label in labels]
        return self.pyramid.targets(instances, labels, length, self.classes)

    def loss(self, output: PointPrediction, targets: PointTargets, generator: torch.Generator) -> Float[Tensor, ""]:
        """Return the focal and the distance-IoU loss; in training this moves the running normalizer."""
        total: Tensor = self.criterion(output, targets).total
        return total

    def decode(self, output: PointPrediction) -> list[Segments]:
        """Return the segments of each clip in units, before any suppression: of each level the best scores.

        A point gives a segment for each class whose score, the sigmoid of its logit, is above the threshold. Segments
        may reach beyond the clip.
        """
        parts: list[list[tuple[np.ndarray, ...]]] = [[] for _ in output.logits[0]]
        for level, (logits, offsets, mask) in enumerate(zip(output.logits, output.offsets, output.masks, strict=True)):
            score = logits.detach().float().sigmoid().mul_(mask[:, :, None]).flatten(1).cpu()
            position, stride = self.pyramid.positions(level, logits.shape[1]), self.pyramid.strides[level]
            reach = offsets.detach().cpu().double() * stride
            for found, value, extent in zip(parts, score, reach, strict=True):
                index = (value > self.threshold).nonzero().squeeze(1)
                index = index[value[index].argsort(descending=True, stable=True)[: self.candidates]]
                point = index.div(self.classes, rounding_mode="floor")
                start, end = position[point] - extent[point, 0], position[point] + extent[point, 1]
                lasting = end - start > self.min_duration
                columns = (start, end, index % self.classes, value[index].double())
                found.append(tuple(column[lasting].numpy() for column in columns))
        return [Segments(*map(np.concatenate, zip(*levels, strict=True))) for levels in parts]
