"""Settings of BMN."""

from dataclasses import dataclass
from typing import Literal

from sola.detectors.bmn.network import BMN
from sola.detectors.proposal_map.config import ProposalMapConfig


@dataclass(frozen=True)
class BMNConfig(ProposalMapConfig):
    """Settings for training and detection with BMN; the defaults are for ActivityNet."""

    model: Literal["bmn"] = "bmn"
    """Name of the detector."""

    def build(self, channels: int, classes: int) -> BMN:
        """Return an untrained network without classes."""
        return BMN(channels, self.length, max_duration=self.max_duration, candidates_only=self.candidates_only)
