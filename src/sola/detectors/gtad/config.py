"""Settings of G-TAD."""

from dataclasses import dataclass
from typing import Literal

from sola.detectors.gtad.network import GTAD
from sola.detectors.proposal_map.config import ProposalMapConfig


@dataclass(frozen=True)
class GTADConfig(ProposalMapConfig):
    """Settings for training and detection with G-TAD."""

    model: Literal["gtad"] = "gtad"
    """Name of the detector."""
    bins: int = 32
    """Number of bins for the alignment of a proposal."""
    context_bins: int = 4
    """Number of bins for the alignment of the nearest neighbors of a proposal."""
    kernel_size: int = 1
    """Kernel size of the convolutions over the map (cells, odd)."""

    def build(self, channels: int, classes: int) -> GTAD:
        """Return an untrained network without classes."""
        return GTAD(
            channels,
            self.length,
            max_duration=self.max_duration,
            candidates_only=self.candidates_only,
            bins=self.bins,
            context_bins=self.context_bins,
            kernel_size=self.kernel_size,
        )
