"""The block of TemporalMaxer, and the normalization of its levels, both without weights."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sola.detectors.point_pyramid.convolution import halved

GROUPS = 4
"""Groups of channels that `ClipNorm` normalizes separately."""


class MaxPooling(nn.Module):
    """The maximum over three snippets around every second one (section 3.2)."""

    def forward(
        self, x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch time"] | None, paths: None = None
    ) -> tuple[Float[Tensor, "batch half channels"], Bool[Tensor, "batch half"] | None]:
        """Return the features, zero in the padding, and their mask."""
        x = halved(x)
        if mask is None:
            return x, None
        after = mask[:, ::2]
        return x * after[:, :, None], after


class ClipNorm(nn.Module):
    """Group normalization over the whole time of a clip, without weights (Wu and He, ECCV 2018).

    As in the published program the padding counts, so that the output depends on the padded length.
    """

    def forward(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Normalize each group of channels to mean 0 and variance 1."""
        normalized: Tensor = F.group_norm(x.transpose(1, 2), GROUPS).transpose(1, 2)
        return normalized
