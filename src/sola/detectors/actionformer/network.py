"""ActionFormer (Zhang et al., ECCV 2022): every point of a temporal pyramid predicts an action and its boundaries."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from sola.detectors.actionformer.blocks import TransformerBlock
from sola.detectors.point_pyramid.backbone import PyramidBackbone
from sola.detectors.point_pyramid.loss import OffsetLoss
from sola.detectors.point_pyramid.offset_detector import OffsetDetector
from sola.detectors.point_pyramid.points import PointPrediction

THUMOS_WINDOWS = (19,) * 6


class ActionFormer(OffsetDetector):
    """Detect actions, with or without classes, in the snippet features of clips of any length.

    The defaults are the authors' values for THUMOS14: 29,251,612 parameters with 2048 channels and 20 classes. For
    ActivityNet, the authors use `classes=None, length=192, width=256, windows=(7, 7, 7, 7, 7, None),
    absolute_position=True, min_duration=.001` on clips rescaled to 192 snippets. Weights are initialized as in their
    code. The state dict includes the running normalizer of the loss.

    `length` determines the padding (see `padded_length`) and the number of absolute positions. The other parameters are
    described in `PointDetector`, `TransformerBlock`, `PyramidBackbone`, `PointLayers` (`head_width`) and
    `PointCriterion`.

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
        super().__init__(
            channels,
            classes,
            len(windows),
            length=length,
            ranges=ranges,
            radius=radius,
            threshold=threshold,
            candidates=candidates,
            min_duration=min_duration,
        )
        self.windows = tuple(windows)

        def block(window: int | None, stride: int) -> TransformerBlock:
            return TransformerBlock(width, heads, stride=stride, window=window, dropout=dropout, drop_path=drop_path)

        self.backbone = PyramidBackbone(
            channels,
            width,
            windows,
            block,
            convolutions=convolutions,
            stem=stem,
            positions=length if absolute_position else None,
        )
        self.add_outputs(width, head_width, [nn.LayerNorm(width) for _ in windows])
        self.criterion = OffsetLoss(
            regression_weight=regression_weight, label_smoothing=label_smoothing, normalizer=normalizer
        )

    def padded_length(self, snippets: int) -> int:
        """Return the padded length (snippets) of clips up to `snippets` long that gives the published outputs.

        The authors' code pads clips to `length`, and longer clips to a multiple of stride times (window - 1). But the
        output only depends on whether there is padding, not on its length, so one coarsest stride is enough.
        """
        published = self.length
        if snippets > self.length:
            levels = zip(self.pyramid.strides, self.windows, strict=True)
            step = max(stride * (window - 1 if window is not None and window > 1 else 1) for stride, window in levels)
            published = -(-snippets // step) * step
            if self.backbone.position is not None:  # position embeddings are stretched to the padded length
                return published
        return min(published, self.with_padding(snippets))

    def forward(
        self,
        features: Float[Tensor, "batch channels time"],
        mask: Bool[Tensor, "batch time"] | None = None,
        paths: Float[Tensor, "batch branches"] | None = None,
    ) -> PointPrediction:
        """Return the raw prediction of every point; the features are padded to a multiple of the coarsest stride.

        `paths` come from `noise`; None draws new ones. They have no effect outside training. See `features_at`.
        """
        return self.outputs(self.features_at(features, mask, paths))
