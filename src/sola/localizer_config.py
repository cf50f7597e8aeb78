"""All that the training of a localiser is determined by, beside features and annotations, and how it is run."""

import math
from dataclasses import dataclass
from typing import Literal

from sola.clips import Clipping
from sola.engine import Device, Precision
from sola.errors import SolaError
from sola.heads.bmn import BMN
from sola.heads.gtad import GTAD
from sola.postprocess import Gaussian, WidthAdaptive

HeadName = Literal["bmn", "gtad"]


@dataclass(frozen=True)
class LocalizerConfig:
    """The values of one training, and of making detections of what it gives; the defaults are BMN's on ActivityNet."""

    head: HeadName = "bmn"
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
    """Of G-TAD's alignment of its neighbours."""
    kernel_size: int = 1
    """Of G-TAD's convolutions over the map."""
    epochs: int = 9
    """Times that every clip is visited."""
    batch_size: int = 16
    """Clips in a batch."""
    learning_rate: float = 1e-3
    """Of Adam."""
    weight_decay: float = 1e-4
    """Of Adam, on the gradient (L2)."""
    decay_every: int = 7
    """Epochs after which the learning rate is divided by ten, again and again."""
    suppression: Literal["width_adaptive", "gaussian"] = "width_adaptive"
    """Soft-NMS: BMN's, whose threshold grows with the width, or Gaussian."""
    sigma: float = 0.4
    """How fast scores decay: exp(-tIoU²/sigma)."""
    low: float = 0.5
    """tIoU from which the width-adaptive one decays the shortest proposals."""
    high: float = 0.9
    """The same for proposals as long as the clip."""
    keep: int = 100
    """Proposals of a video that are kept."""
    top: int = 2
    """Classes that each kept proposal is given."""
    class_score: Literal["probability", "share"] = "probability"
    """What a class counts: its probability, or that over the sum of the two best ones (G-TAD on HACS)."""
    classifier_epochs: int = 100
    """Of the snippet classifier that names proposals; 0 is none."""
    seed: int = 0
    """Of the initial weights, the order of clips, and the cells that the regression draws."""
    precision: Precision = "auto"
    """fp32, bf16, or bf16 where the device has it."""
    device: Device = "auto"
    """The GPU where there is one, or as named."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "decay_every", "keep", "top"):
            if getattr(self, name) < 1:
                raise SolaError(f"{name}={getattr(self, name)}: expected a whole number of at least 1")
        for name in ("classifier_epochs", "seed"):
            if getattr(self, name) < 0:
                raise SolaError(f"{name}={getattr(self, name)}: expected a whole number of at least 0")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise SolaError(f"learning_rate={self.learning_rate}: expected a number above 0")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise SolaError(f"weight_decay={self.weight_decay}: expected a number of at least 0")
        self.clipping()  # and these refuse what they cannot work with
        self.decay()

    def clipping(self) -> Clipping:
        """How videos are cut."""
        return Clipping(self.length, self.span, self.hop)

    def decay(self) -> Gaussian | WidthAdaptive:
        """How a proposal lowers the scores of those that overlap it."""
        if self.suppression == "gaussian":
            return Gaussian(self.sigma)
        return WidthAdaptive(self.sigma, self.low, self.high)

    def build(self, channels: int) -> BMN | GTAD:
        """An untrained head for features of that width."""
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
