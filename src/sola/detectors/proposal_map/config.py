"""All that the training of BMN or G-TAD is determined by, beside features and annotations."""

from dataclasses import dataclass
from typing import Literal, get_args

from sola.core.errors import SolaError
from sola.detectors.bmn.network import BMN
from sola.detectors.clips import Clipping
from sola.detectors.config import DetectorConfig
from sola.detectors.gtad.network import GTAD
from sola.detectors.postprocess import Gaussian, WidthAdaptive
from sola.detectors.proposal_map.map import ProposalMap

BoundaryMapHead = Literal["bmn", "gtad"]
MapSuppression = Literal["width_adaptive", "gaussian"]


@dataclass(frozen=True)
class ProposalMapConfig(DetectorConfig):
    """The values of one training, and of making detections of what it gives; the defaults are BMN's on ActivityNet."""

    head: BoundaryMapHead = "bmn"
    """Which head scores the proposals."""
    length: int = 100
    """T: units of a clip, which are the cells of the map along time."""
    span: int | None = None
    """Snippets of a sliding window, rescaled to T; none is the whole video."""
    hop: int | None = None
    """Snippets from one window to the next; none is half the span."""
    max_duration: int | None = None
    """Units that the longest proposal lasts; none is T."""
    candidates_only: bool = False
    """Proposals between candidate boundaries only (local peaks, or above half the maximum), or all."""
    bins: int = 32
    """Of G-TAD's alignment of a proposal."""
    context_bins: int = 4
    """Of G-TAD's alignment of its neighbors."""
    kernel_size: int = 1
    """Of G-TAD's convolutions over the map."""
    decay_every: int = 7
    """Epochs after which the learning rate is divided by ten, again and again."""
    suppression: MapSuppression = "width_adaptive"
    """Soft-NMS: BMN's, whose threshold grows with the width, or Gaussian."""
    sigma: float = 0.4
    """How fast scores decay: exp(-tIoU²/sigma)."""
    low: float = 0.5
    """tIoU from which the width-adaptive one decays the shortest proposals."""
    high: float = 0.9
    """The same for proposals as long as the clip."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("head", BoundaryMapHead), ("suppression", MapSuppression)):
            if getattr(self, name) not in get_args(known):
                raise SolaError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(get_args(known))}")
        ProposalMap(self.length, self.max_duration)  # which refuses what it cannot work with
        if self.decay_every < 1:
            raise SolaError(f"decay_every={self.decay_every}: expected a whole number of at least 1")

    @property
    def knows_classes(self) -> bool:
        """Never: both heads give proposals."""
        return False

    def clipping(self) -> Clipping:
        """Clips of T units."""
        return Clipping(self.length, self.span, self.hop)

    def decay(self) -> Gaussian | WidthAdaptive:
        """The soft suppression of proposals."""
        if self.suppression == "gaussian":
            return Gaussian(self.sigma)
        return WidthAdaptive(self.sigma, self.low, self.high)

    def build(self, channels: int, classes: int) -> BMN | GTAD:
        """An untrained head; it knows no classes."""
        if self.head == "bmn":
            return BMN(channels, self.length, max_duration=self.max_duration, candidates_only=self.candidates_only)
        return GTAD(
            channels,
            self.length,
            max_duration=self.max_duration,
            candidates_only=self.candidates_only,
            bins=self.bins,
            context_bins=self.context_bins,
            kernel_size=self.kernel_size,
        )

    def rate(self, epoch: int) -> float:
        """Share of the learning rate in that epoch, from 0."""
        return float(0.1 ** (epoch // self.decay_every))
