"""The pooling block and the level normalization of TemporalMaxer, both without weights."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.detectors.point_pyramid.convolution import halved

GROUPS = 4
"""Number of channel groups that `ClipNorm` normalizes separately."""


class MaxPooling(nn.Module):
    """Max pooling along time with kernel size 3 and stride 2 (section 3.2)."""

    def forward(
        self, x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch time"] | None, paths: None = None
    ) -> tuple[Float[Tensor, "batch half channels"], Bool[Tensor, "batch half"] | None]:
        """Return the features, which are zero in the padding, and their mask."""
        x = halved(x)
        if mask is None:
            return x, None
        after = mask[:, ::2]
        return x * after[:, :, None], after


class ClipNorm(nn.Module):
    """Group normalization over a whole clip, without weights (Wu and He, ECCV 2018).

    As in the published program, the padding is included, so the output depends on the padded length.
    """

    def forward(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Normalize each group of channels to mean 0 and variance 1."""
        normalized: Tensor = F.group_norm(x.transpose(1, 2), GROUPS).transpose(1, 2)
        return normalized
