"""The training task of SoLa: match the similarity of snippets to their distance in time.

Only the positions of a window contribute to the loss, and only the first convolution has a kernel larger than 1. So the
task gathers the neighborhoods of the positions and applies linear layers, with the same result as dense convolutions.
"""

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sola.data.ragged import PackedFeatures
from sola.softlanding.config import TrainingConfig
from sola.softlanding.losses import lambda_target, matching_loss, similarity_map
from sola.softlanding.network import SoLa
from sola.softlanding.windows import draw_windows, neighborhoods

RANK_SAMPLES = 256
"""Number of feature vectors used for the effective rank, and its upper bound."""


class Projector(nn.Module):
    """The projector g: Linear(C→H) · ReLU · Linear(H→C), applied to the predictions; not needed after training."""

    def __init__(self, channels: int, hidden: int = 512) -> None:
        super().__init__()
        self.inner = nn.Linear(channels, hidden)
        self.outer = nn.Linear(hidden, channels)

    def forward(self, z: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Project unit vectors."""
        return cast(Tensor, self.outer(self.inner(z).relu()))


class Matcher(nn.Module):
    """The trained model: the module, and the projector if it is asymmetric."""

    def __init__(self, module: SoLa, projector: Projector | None) -> None:
        super().__init__()
        self.module, self.projector = module, projector

    def forward(
        self, neighborhood: Float[Tensor, "batch positions reach channels"]
    ) -> tuple[Float[Tensor, "batch positions channels"], Float[Tensor, "batch positions channels"]]:
        """Return unit vectors z for the positions, and the predictions g(z)."""
        z = F.normalize(self.module.adapt_at(neighborhood).float(), dim=-1)
        return z, z if self.projector is None else self.projector(z).float()


@dataclass(frozen=True)
class Windows:
    """A batch of windows: the conditioned neighborhood of each position."""

    neighborhood: Float[Tensor, "share positions reach channels"]
    total: int
    """Number of windows in the whole batch."""

    def __len__(self) -> int:
        return self.total

    def share(self, part: slice) -> "Windows":
        """Return the batch with only the neighborhoods of these windows."""
        return replace(self, neighborhood=self.neighborhood[part])


@dataclass(frozen=True)
class Plan:
    """The windows of an epoch in order; `first` is on the device of the features, `video` on that of the means."""

    epoch: int
    first: Int[Tensor, " draws"]
    """First row of each window in the packed features."""
    video: Int[Tensor, " draws"]
    """Index of the video of each window."""


class SimilarityMatching:
    """Train a SoLa module, by default a new module with this config, on windows of packed features."""

    average = None
    clip_norm = None

    def __init__(
        self, config: TrainingConfig, packed: PackedFeatures, device: torch.device, module: SoLa | None = None
    ) -> None:
        self.config, self.packed, self.device = config, packed, device
        channels = packed.values.shape[1]
        with torch.random.fork_rng(devices=[]):  # keeps the random state of the caller
            torch.manual_seed(config.seed)
            module = config.module(channels) if module is None else module
            projector = Projector(channels, config.projector_hidden) if config.projector == "asymmetric" else None
        mean = video_means(packed) if module.conditioning != "none" else np.zeros((len(packed.videos), 1), np.float32)
        if module.conditioning.endswith("scale"):
            module.scale.fill_(root_mean_square(packed, mean if module.centers else None))
        self.model = Matcher(module, projector).to(device)
        self.values = torch.from_numpy(packed.values)
        if device.type != "cuda" or self.values.nbytes < 0.8 * torch.cuda.mem_get_info(device)[0]:
            self.values = self.values.to(device)
        self.mean = torch.from_numpy(mean).to(device)
        offsets = neighborhoods(np.zeros(1, np.int64), config.positions, config.step, config.margin, module.reach)
        self.offsets = torch.from_numpy(offsets[0]).to(self.values.device)
        self.target = lambda_target(config.positions, config.k).to(device)
        self.plan = self._draw(0)

    @property
    def network(self) -> SoLa:
        """The module, without the projector."""
        return self.model.module

    def finish(self) -> None:
        """Do nothing: the module needs no step after training."""

    def optimizer(self) -> torch.optim.Optimizer:
        """Return AdamW at a constant learning rate."""
        return torch.optim.AdamW(
            self.model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )

    def rate(self, epoch: int, step: int) -> float:
        """Return 1: the learning rate is constant."""
        return 1.0

    def steps(self, epoch: int) -> int:
        """Return the number of batches in an epoch; the last batch may be smaller."""
        return math.ceil(len(self._plan(epoch).first) / self.config.batch_size)

    def batch(self, epoch: int, step: int) -> Windows:
        """Gather the neighborhoods of a batch as float32, conditioned and with dropout."""
        size, dropout, plan = self.config.batch_size, self.config.dropout, self._plan(epoch)
        values = self._gather(plan, slice(step * size, (step + 1) * size))
        if dropout:
            # seeded by epoch and step, so that resumed runs get the same mask
            entropy = np.random.SeedSequence([self.config.seed, epoch, step]).generate_state(1, np.uint64)[0]
            generator = torch.Generator(self.device).manual_seed(int(entropy >> np.uint64(1)))
            values = values * dropout_mask(values.shape, dropout, generator) / (1 - dropout)
        return Windows(values, len(values))

    def _gather(self, plan: Plan, drawn: slice) -> Float[Tensor, "drawn positions reach channels"]:
        index = plan.first[drawn][:, None, None] + self.offsets
        values = self.values[index].to(self.device).float()
        if self.model.module.conditioning == "none":
            return values
        return self.model.module.condition(values, self.mean[plan.video[drawn]][:, None, None, :])

    def predict(self, batch: Windows) -> tuple[Tensor, Tensor]:
        """Return unit vectors and predictions for a batch."""
        return cast(tuple[Tensor, Tensor], self.model(batch.neighborhood))

    def score(self, prediction: tuple[Tensor, Tensor], batch: Windows) -> Tensor:
        """Return the loss on the similarity maps of the batch."""
        c = self.config
        similarity = similarity_map(*prediction)
        return matching_loss(similarity, self.target, c.loss, c.probability, c.temperature)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return the gate and the collapse measures on the first windows of the epoch (Table 6)."""
        plan = self._plan(epoch)
        windows = slice(0, min(math.ceil(RANK_SAMPLES / self.config.positions), len(plan.first)))
        z = F.normalize(self.model.module.adapt_at(self._gather(plan, windows)), dim=-1)
        spread, rank = collapse(z.flatten(0, 1).double())
        return {"gate": self.model.module.gate_value(), "feature_std": spread, "effective_rank": rank}

    def _plan(self, epoch: int) -> Plan:
        if self.plan.epoch != epoch:
            self.plan = self._draw(epoch)
        return self.plan

    def _draw(self, epoch: int) -> Plan:
        # seeded by epoch, so that resumed runs draw the same windows
        generator = np.random.default_rng([self.config.seed, epoch])
        c = self.config
        video, start = draw_windows(self.packed.lengths, c.window, c.windows_per_video, generator)
        first = torch.from_numpy(self.packed.starts[video] + start).to(self.values.device)
        return Plan(epoch, first, torch.from_numpy(video).to(self.device))


def dropout_mask(shape: tuple[int, ...], share: float, generator: torch.Generator) -> Float[Tensor, "..."]:
    """Return a mask that is 0 for a random `share` of the values and 1 for the others."""
    return torch.empty(shape, device=generator.device).bernoulli_(1 - share, generator=generator)


def collapse(z: Float[Tensor, "snippets channels"]) -> tuple[float, float]:
    """Return the standard deviation and the effective rank of unit vectors.

    The standard deviation is averaged over channels and multiplied by √C: 1 for uniform directions, 0 if all vectors
    are equal. The effective rank is the exponential of the entropy of the normalized singular values of the centered
    vectors (Roy and Vetterli, EUSIPCO 2007).
    """
    centered = z - z.mean(dim=0)
    spread = float(centered.square().mean(dim=0).sqrt().mean()) * math.sqrt(z.shape[1])
    gram = centered @ centered.T if len(z) < z.shape[1] else centered.T @ centered
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    total = float(singular.sum())
    if total < 1e-9:
        return spread, 1.0
    share = singular / total
    return spread, float(torch.special.entr(share).sum().exp())


def video_means(packed: PackedFeatures) -> Float[np.ndarray, "videos channels"]:
    """Return the mean of each video over time, in memory or mapped from a file like the values."""
    means = packed.row_each(packed.values.shape[1])
    for i in range(len(packed.videos)):
        means[i] = packed.video(i).mean(axis=0, dtype=np.float64)
    return means


def root_mean_square(packed: PackedFeatures, mean: Float[np.ndarray, "videos channels"] | None) -> float:
    """Return the root mean square of all values after subtracting `mean`, or 1 if they are all 0."""
    total = 0.0
    for i in range(len(packed.videos)):
        video = packed.video(i).astype(np.float32)
        total += float(np.square(video if mean is None else video - mean[i], dtype=np.float64).sum())
    return math.sqrt(total / packed.values.size) or 1.0
