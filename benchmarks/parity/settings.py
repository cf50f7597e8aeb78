"""One configuration for each model, which both programs can express exactly.

The number of training videos must be a multiple of the batch size: the authors' ActionFormer and TriDet leave out the
last, smaller batch, and ours takes it.
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
"""Variable that names a clone of the authors' program, by model."""


@dataclass(frozen=True)
class JJBOYConfig(ProposalMapConfig):
    """BMN as in JJBOY's program, whose layout and geometry differ from those of `sola train-detector --model bmn`."""

    model: Literal["bmn-jjboy"] = "bmn-jjboy"
    """Name of the detector."""
    samples: int = 32
    """Samples of each proposal."""

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
    """Add JJBOY's BMN to the table of detectors, as `sola.detectors.DETECTORS` describes."""
    sola.detectors.DETECTORS = {**DETECTORS, "bmn-jjboy": "parity.settings"}


def settings(model: str, changes: Mapping[str, Any]) -> DetectorConfig:
    """Return the configuration of a model: ours for GTEA, in fp32, with what the authors' programs cannot do left out.

    They do not vote within a class. Batches of three suit the 21 training videos of GTEA.
    """
    config: DetectorConfig
    if model == "bmn":
        config = JJBOYConfig(length=32, samples=8, epochs=9, decay_every=7, batch_size=8, classifier_epochs=0)
    else:
        config = replace(detector_family(model).recipe("gtea"), batch_size=3, warmup_epochs=3)
        assert isinstance(config, PointPyramidConfig)
        config = replace(config, snippets_per_unit=1, voting_iou=0.0)
    return replace(config, **{"precision": "fp32", "device": "cpu", **changes})
