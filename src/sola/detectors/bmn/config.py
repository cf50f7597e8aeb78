"""Settings of BMN."""

from dataclasses import dataclass
from typing import Literal

from sola.detectors.bmn.network import BMN
from sola.detectors.proposal_map.config import ProposalMapConfig


@dataclass(frozen=True)
class BMNConfig(ProposalMapConfig):
    """Settings that determine one training of BMN, and detection with it; the defaults are ActivityNet's."""

    model: Literal["bmn"] = "bmn"
    """Name of the detector."""

    def build(self, channels: int, classes: int) -> BMN:
        """Return an untrained network; it predicts no classes."""
        return BMN(channels, self.length, max_duration=self.max_duration, candidates_only=self.candidates_only)
