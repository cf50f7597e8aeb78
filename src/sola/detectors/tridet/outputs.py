"""The Trident-head of TriDet (section 3.3): boundaries as the expectation over bins around a point."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class TridentPrediction:
    """The prediction at every point: one entry per level, finest first."""

    logits: tuple[Float[Tensor, "batch _ classes"], ...]
    """Logit of each class; 0 in the padding."""
    bins: tuple[Float[Tensor, "batch _ 2 bins"], ...]
    """The point's own number for each bin of its start and its end, in the order of time; not negative."""
    masks: tuple[Bool[Tensor, "batch _"], ...]
    """True at the points that lie in their clip."""
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
        """Return the expected distances from points to the start and end of a class, in strides.

        Bin b of a start is b strides before the point, bin b of an end is b strides after it. The probabilities are the
        softmax over the bins of the class's logits there plus the point's own numbers; logits beyond the clip are 0.
        """
        own = self.bins[level][clip, point].float()
        steps = torch.arange(own.shape[2], device=own.device)
        return torch.stack(
            [
                _expected(self.starts[level], clip, point[:, None] - steps.flip(0), label, own[:, 0], steps.flip(0)),
                _expected(self.ends[level], clip, point[:, None] + steps, label, own[:, 1], steps),
            ],
            dim=1,
        )


def _expected(
    logits: Float[Tensor, "batch points classes"],
    clip: int | Int[Tensor, " chosen"],
    at: Int[Tensor, "chosen bins"],
    label: Int[Tensor, " chosen"],
    own: Float[Tensor, "chosen bins"],
    distance: Int[Tensor, " bins"],
) -> Float[Tensor, " chosen"]:
    """Return the expected distance of a boundary over the bins at these points."""
    points = logits.shape[1]
    inside: Bool[Tensor, "chosen bins"] = (at >= 0) & (at < points)
    clips = clip[:, None] if isinstance(clip, Tensor) else clip
    near = logits[clips, at.clamp(0, points - 1), label[:, None]].float().masked_fill(~inside, 0)
    return F.softmax(near + own, dim=1) @ distance.to(near)
