"""TriDet (Shi et al., CVPR 2023): a convolutional pyramid, and boundaries as distributions over bins."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sola.core.checks import at_least, not_negative
from sola.detectors.point_pyramid.backbone import PyramidBackbone
from sola.detectors.point_pyramid.detector import PointDetector
from sola.detectors.point_pyramid.outputs import PRIOR_BIAS, PointLayers, in_a_row, masks_of, of_levels
from sola.detectors.tridet.blocks import PerceptionBlock
from sola.detectors.tridet.loss import TriDetLoss
from sola.detectors.tridet.outputs import TridentPrediction


class TriDet(PointDetector):
    """Detect actions, with or without classes, in the snippet features of clips of any length.

    The defaults are the authors' values for THUMOS14. Weights are initialized as in their code. The state dict includes
    the running normalizer of the loss.

    See `PerceptionBlock` for `windows`, `window_scale`, `hidden` and `deviation`; the stem has a window of 1. `bins` is
    the largest distance from a point to a boundary (strides). `input_noise` is the standard deviation of the noise
    added to the features in training. See `PointDetector`, `PyramidBackbone`, `PointLayers` and `TriDetLoss` for the
    other parameters.

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
        windows: Sequence[int] = (1,) * 6,
        window_scale: float = 5.0,
        hidden: int = 768,
        deviation: float = 0.0,
        convolutions: int = 2,
        stem: int = 2,
        head_width: int | None = None,
        head_kernel_size: int = 3,
        boundary_kernel_size: int = 3,
        bins: int = 16,
        absolute_position: bool = False,
        input_noise: float = 0.0,
        drop_path: float = 0.1,
        ranges: Sequence[tuple[float, float]] | None = None,
        radius: float = 1.5,
        threshold: float = 1e-3,
        candidates: int = 2000,
        min_duration: float = 0.05,
        overlap_power: float = 0.2,
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
        at_least(1, hidden=hidden, bins=bins)
        not_negative(input_noise=input_noise, deviation=deviation)
        self.windows, self.bins, self.input_noise = tuple(windows), bins, input_noise
        settings: dict[str, Any] = {"scale": window_scale, "deviation": deviation}

        def block(window: int, stride: int) -> PerceptionBlock:
            if stride == 1:
                return PerceptionBlock(width, hidden, **settings)
            return PerceptionBlock(width, hidden, stride=stride, window=window, drop_path=drop_path, **settings)

        self.backbone = PyramidBackbone(
            channels,
            width,
            windows,
            block,
            convolutions=convolutions,
            stem=stem,
            positions=length if absolute_position else None,
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in windows)
        head = head_width or width
        self.gap = max(head_kernel_size, boundary_kernel_size) // 2
        self.classifier = PointLayers(width, head, self.classes, kernel_size=head_kernel_size, bias=PRIOR_BIAS)
        self.start_classifier, self.end_classifier = (
            PointLayers(width, head, self.classes, kernel_size=boundary_kernel_size, bias=PRIOR_BIAS) for _ in range(2)
        )
        self.regressor = PointLayers(width, head, 2 * (bins + 1), kernel_size=head_kernel_size)
        self.offset_scale = nn.Parameter(torch.ones(len(windows)))
        self.criterion = TriDetLoss(
            overlap_power=overlap_power,
            regression_weight=regression_weight,
            label_smoothing=label_smoothing,
            normalizer=normalizer,
        )

    def padded_length(self, snippets: int) -> int:
        """Return the padded length (snippets) of clips up to `snippets` long that gives the published outputs.

        The padding affects the output, so this is the length in the authors' code: `length`, and for longer clips a
        multiple of the largest product of stride and window.
        """
        if snippets <= self.length:
            return self.length
        step = max(stride * max(window, 1) for stride, window in zip(self.pyramid.strides, self.windows, strict=True))
        return -(-snippets // step) * step

    def noise(self, clips: int, device: torch.device) -> tuple[Tensor, ...]:
        """Draw the random numbers for skipped branches in training, and a seed for the input noise of each clip."""
        seeds = torch.randint(2**62, (clips,))
        return (*super().noise(clips, device), seeds)

    def forward(
        self,
        features: Float[Tensor, "batch channels time"],
        mask: Bool[Tensor, "batch time"] | None = None,
        paths: Float[Tensor, "batch branches"] | None = None,
        seeds: Int[Tensor, " batch"] | None = None,
    ) -> TridentPrediction:
        """Return the raw prediction of every point; the features are padded to a multiple of the coarsest stride.

        `paths` and `seeds` come from `noise`. If `paths` is None, new ones are drawn. If `seeds` is None, there is no
        input noise. Both have no effect outside training. See `features_at`.
        """
        if self.training and self.input_noise and seeds is not None:
            features = features + self.input_noise * _noise(features, seeds)
        levels = self.features_at(features, mask, paths)
        normalized = [(norm(x), mask) for norm, (x, mask) in zip(self.norms, levels, strict=True)]
        row, row_mask, gaps = in_a_row(normalized, self.gap)
        lengths = [x.shape[1] for x, _ in levels]

        def outputs(layers: PointLayers, row: Tensor) -> tuple[Tensor, ...]:
            return of_levels(layers(row, row_mask, gaps), lengths, self.gap)

        bins = outputs(self.regressor, row)
        return TridentPrediction(
            outputs(self.classifier, row),
            tuple(
                (level * scale).relu().unflatten(2, (2, -1))
                for level, scale in zip(bins, self.offset_scale, strict=True)
            ),
            masks_of(levels),
            # the boundary outputs do not train the pyramid
            outputs(self.start_classifier, row.detach()),
            outputs(self.end_classifier, row.detach()),
        )


def _noise(features: Float[Tensor, "batch channels time"], seeds: Int[Tensor, " batch"]) -> Tensor:
    """Draw standard normal noise for each clip from its own seed, so that it does not depend on other clips."""
    drawn = torch.empty_like(features)
    for clip, seed in zip(drawn, seeds.tolist(), strict=True):
        clip.normal_(generator=torch.Generator(features.device).manual_seed(seed))
    return drawn
