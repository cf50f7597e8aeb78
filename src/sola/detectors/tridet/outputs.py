"""The Trident-head of TriDet (section 3.3): boundaries as expected values over bins around a point."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class TridentPrediction:
    """The prediction at every point, with one entry per level, finest first."""

    logits: tuple[Float[Tensor, "batch _ classes"], ...]
    """Logit of each class; 0 in the padding."""
    bins: tuple[Float[Tensor, "batch _ 2 bins"], ...]
    """Value of the point for each bin of its start and its end in temporal order, not negative."""
    masks: tuple[Bool[Tensor, "batch _"], ...]
    """True at points inside the clip."""
    starts: tuple[Float[Tensor, "batch _ classes"], ...]
    """Logit of each class for a start at the point; 0 in the padding."""
    ends: tuple[Float[Tensor, "batch _ classes"], ...]
    """Logit of each class for an end at the point; 0 in the padding."""

    def offsets_at(
        self,
        level: int,
        clip: int | Int[Tensor, " chosen"],
        point: Int[Tensor, " chosen"],
        label: Int[Tensor, " chosen"],
    ) -> Float[Tensor, "chosen 2"]:
        """Return the expected distances from points to the start and end of an action of a class (strides).

        Bin b of a start is b strides before the point, and bin b of an end is b strides after it. The probabilities are
        the softmax over the bins of the logits of the class there plus the values of the point; logits beyond the clip
        are 0.
        """
        bins = self.bins[level][clip, point].float()
        steps = torch.arange(bins.shape[2], device=bins.device)
        return torch.stack(
            [
                _expected(self.starts[level], clip, point[:, None] - steps.flip(0), label, bins[:, 0], steps.flip(0)),
                _expected(self.ends[level], clip, point[:, None] + steps, label, bins[:, 1], steps),
            ],
            dim=1,
        )


def _expected(
    logits: Float[Tensor, "batch points classes"],
    clip: int | Int[Tensor, " chosen"],
    position: Int[Tensor, "chosen bins"],
    label: Int[Tensor, " chosen"],
    bins: Float[Tensor, "chosen bins"],
    distance: Int[Tensor, " bins"],
) -> Float[Tensor, " chosen"]:
    """Return the expected distance of a boundary over bins at these positions."""
    points = logits.shape[1]
    inside: Bool[Tensor, "chosen bins"] = (position >= 0) & (position < points)
    clips = clip[:, None] if isinstance(clip, Tensor) else clip
    neighbors = logits[clips, position.clamp(0, points - 1), label[:, None]].float().masked_fill(~inside, 0)
    return F.softmax(neighbors + bins, dim=1) @ distance.to(neighbors)
