"""A detector whose points predict classes and the distances to start and end, like ActionFormer."""

from collections.abc import Sequence

import torch
from torch import nn

from sola.detectors.point_pyramid.backbone import Level
from sola.detectors.point_pyramid.detector import PointDetector
from sola.detectors.point_pyramid.outputs import PRIOR_BIAS, PointLayers, in_a_row, masks_of, of_levels
from sola.detectors.point_pyramid.points import PointPrediction


class OffsetDetector(PointDetector):
    """A detector with output layers for classes and offsets that all levels share, except for a scale of the offsets.

    A subclass calls `add_outputs` after it has added `backbone`.
    """

    norms: nn.ModuleList
    classifier: PointLayers
    regressor: PointLayers
    offset_scale: nn.Parameter

    def add_outputs(self, width: int, head_width: int | None, norms: Sequence[nn.Module]) -> None:
        """Add the output layers for levels with `width` channels; `norms` has the normalization of each level."""
        self.norms = nn.ModuleList(norms)
        self.classifier = PointLayers(width, head_width or width, self.classes, bias=PRIOR_BIAS)
        self.regressor = PointLayers(width, head_width or width, 2)
        self.offset_scale = nn.Parameter(torch.ones(len(self.norms)))

    def outputs(self, levels: Sequence[Level]) -> PointPrediction:
        """Return the raw prediction of every point."""
        row, mask, gaps = in_a_row([(norm(x), mask) for norm, (x, mask) in zip(self.norms, levels, strict=True)])
        lengths = [x.shape[1] for x, _ in levels]
        logits = of_levels(self.classifier(row, mask, gaps), lengths)
        offsets = of_levels(self.regressor(row, mask, gaps), lengths)
        return PointPrediction(
            logits,
            tuple((offset * scale).relu() for offset, scale in zip(offsets, self.offset_scale, strict=True)),
            masks_of(levels),
        )
