"""TemporalMaxer (Tang et al., 2023): ActionFormer with max pooling instead of transformer blocks."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sola.core.checks import one_of
from sola.detectors.point_pyramid.backbone import PyramidBackbone
from sola.detectors.point_pyramid.loss import OffsetLoss
from sola.detectors.point_pyramid.offset_detector import OffsetDetector
from sola.detectors.point_pyramid.points import PointPrediction
from sola.detectors.temporalmaxer.assignment import InstanceTargets, chosen_targets
from sola.detectors.temporalmaxer.pooling import ClipNorm, MaxPooling

Normalization = Literal["layer", "clip"]
"""Normalization of a level before the output layers: LayerNorm, or `ClipNorm`."""


class TemporalMaxer(OffsetDetector):
    """Detect actions, with or without classes, in the snippet features of clips of any length.

    The defaults are the authors' values for THUMOS14: 7,117,852 parameters with 2048 channels and 20 classes. Weights
    are initialized as in ActionFormer. The state dict includes the running normalizer of the loss.

    `normalization` is the normalization of the levels. See `PointDetector`, `PyramidBackbone`, `PointLayers`
    (`head_width`) and `PointCriterion` for the other parameters.

    Raises:
        SolaError: if a value is out of range.
    """

    def __init__(
        self,
        channels: int,
        classes: int | None = None,
        *,
        length: int = 2304,
        width: int = 512,
        levels: int = 6,
        convolutions: int = 2,
        normalization: Normalization = "clip",
        head_width: int | None = None,
        absolute_position: bool = False,
        ranges: Sequence[tuple[float, float]] | None = None,
        radius: float = 1.5,
        threshold: float = 1e-3,
        candidates: int = 2000,
        min_duration: float = 0.05,
        regression_weight: float = 1.0,
        label_smoothing: float = 0.0,
        normalizer: float = 100.0,
    ) -> None:
        super().__init__(
            channels,
            classes,
            levels,
            length=length,
            ranges=ranges,
            radius=radius,
            threshold=threshold,
            candidates=candidates,
            min_duration=min_duration,
        )
        one_of(Normalization, normalization=normalization)
        self.normalization = normalization
        self.backbone = PyramidBackbone(
            channels,
            width,
            [None] * levels,
            lambda window, stride: MaxPooling(),
            convolutions=convolutions,
            stem=0,
            positions=length if absolute_position else None,
        )
        norms = [nn.LayerNorm(width) if normalization == "layer" else ClipNorm() for _ in range(levels)]
        self.add_outputs(width, head_width, norms)
        self.criterion = OffsetLoss(
            regression_weight=regression_weight, label_smoothing=label_smoothing, normalizer=normalizer
        )

    def padded_length(self, snippets: int) -> int:
        """Return the padded length (snippets) of clips up to `snippets` long that gives the published outputs.

        The authors' code pads clips to `length`, and longer clips to a multiple of the coarsest stride. `ClipNorm`
        includes the padding. Without it, the output only depends on whether there is padding, so one coarsest stride is
        enough.
        """
        coarsest = self.pyramid.strides[-1]
        published = max(self.length, -(-snippets // coarsest) * coarsest)
        if self.normalization == "clip" or self.backbone.position is not None:
            return published
        return min(published, self.with_padding(snippets))

    def noise(self, clips: int, device: torch.device) -> tuple[Tensor, ...]:
        """Return nothing, because the network has no random branches."""
        return ()

    def forward(
        self, features: Float[Tensor, "batch channels time"], mask: Bool[Tensor, "batch time"] | None = None
    ) -> PointPrediction:
        """Return the raw prediction of every point; the features are padded to a multiple of the coarsest stride.

        See `features_at`.
        """
        return self.outputs(self.features_at(features, mask, None))

    def targets(  # type: ignore[override]
        self, instances: Sequence[Float[Tensor, "_ 2"]], labels: Sequence[Int[Tensor, " _"]], length: int
    ) -> InstanceTargets:
        """Return the targets of a batch before the assignment in `loss`; see `PointDetector.targets`."""
        return InstanceTargets(super().targets(instances, labels, length), instances, self.known(labels))

    def loss(  # type: ignore[override]
        self, output: PointPrediction, targets: InstanceTargets, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the loss of classes and boundaries; in training, this updates the running normalizer."""
        return super().loss(output, chosen_targets(targets, output, self.pyramid), generator)
