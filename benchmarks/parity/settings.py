"""Configuration of each model that both programs support exactly.

The number of training videos must be a multiple of the batch size, because the authors' ActionFormer and TriDet drop
the last, smaller batch, while sola uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import sola.detectors
from sola.detectors import DETECTORS, detector_family
from sola.detectors.base import DetectorConfig, DetectorFamily
from sola.detectors.bmn.network import BMN
from sola.detectors.point_pyramid.config import PointPyramidConfig
from sola.detectors.proposal_map.config import ProposalMapConfig

REFERENCES = {
    "actionformer": "SOLA_ACTIONFORMER_REFERENCE",
    "tridet": "SOLA_TRIDET_REFERENCE",
    "bmn": "SOLA_BMN_REFERENCE",
}
"""Environment variable with the path of a clone of the authors' program, by model."""


@dataclass(frozen=True)
class JJBOYConfig(ProposalMapConfig):
    """BMN as in JJBOY's program. Layout and geometry differ from `sola train-detector --model bmn`."""

    model: Literal["bmn-jjboy"] = "bmn-jjboy"
    """Name of the detector."""
    samples: int = 32
    """Number of samples per proposal."""

    def build(self, channels: int, classes: int) -> BMN:
        """Return an untrained network."""
        return BMN(
            channels,
            self.length,
            proposal_channels=256,
            samples=self.samples,
            layout="start_end",
            end_inclusive=True,
            anchor=(-0.5, 0.5),
            final_boundary=False,
        )


FAMILY = DetectorFamily("bmn-jjboy", JJBOYConfig, {})


def register() -> None:
    """Register JJBOY's BMN in `sola.detectors.DETECTORS`."""
    sola.detectors.DETECTORS = {**DETECTORS, "bmn-jjboy": "parity.settings"}


def settings(model: str, changes: Mapping[str, Any]) -> DetectorConfig:
    """Return the configuration of a model: sola's for GTEA in fp32, without features that the authors' programs lack.

    The authors' programs do not have voting within a class. A batch size of three divides GTEA's 21 training videos.
    """
    config: DetectorConfig
    if model == "bmn":
        config = JJBOYConfig(length=32, samples=8, epochs=9, decay_every=7, batch_size=8, classifier_epochs=0)
    else:
        config = replace(detector_family(model).recipe("gtea"), batch_size=3, warmup_epochs=3)
        assert isinstance(config, PointPyramidConfig)
        config = replace(config, snippets_per_unit=1, voting_iou=0.0)
    return replace(config, **{"precision": "fp32", "device": "cpu", **changes})
