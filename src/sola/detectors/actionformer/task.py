"""The task that trains ActionFormer: whole videos of any length, padded and masked, cropped at random."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sola.detectors.actionformer.config import ActionFormerConfig
from sola.detectors.actionformer.loss import ActionFormerLoss
from sola.detectors.actionformer.network import ActionFormer
from sola.detectors.actionformer.points import PointPrediction, PointTargets
from sola.detectors.clips import INSIDE, Clips
from sola.detectors.task import ClipBatch, DetectionTask, seed_of
from sola.training.distributed import ALONE, Processes

TRIES = 200
"""Random crops that are tried for one that holds an action."""

Cropped = tuple[Float[np.ndarray, "_ channels"], Float[Tensor, "_ 2"], Int[Tensor, " _"]]
"""Features of a clip, its instances in units, their classes."""


@dataclass(frozen=True)
class PaddedBatch(ClipBatch[PointTargets]):
    """Clips of several lengths, padded to one."""

    mask: Bool[Tensor, "share time"]
    """True at the units that are the clip's."""
    share: slice
    """Which clips of the whole batch they are."""


class Trained(nn.Module):
    """All that training changes: the head, and the loss's running normalizer."""

    def __init__(self, head: ActionFormer, loss: ActionFormerLoss) -> None:
        super().__init__()
        self.head, self.loss = head, loss


class PointTraining(DetectionTask[PointTargets, PointPrediction, ActionFormer]):
    """AdamW with warm-up, cosine and clipping; averaged weights are what is judged and kept."""

    config: ActionFormerConfig
    average: AveragedModel

    def __init__(
        self,
        config: ActionFormerConfig,
        clips: Clips,
        classes: int,
        folder: Path,
        device: torch.device,
        validation: Clips | None = None,
        processes: Processes = ALONE,
    ) -> None:
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay the caller's
            torch.manual_seed(config.seed)
            head = config.build(clips.values.shape[1], classes)
        loss = ActionFormerLoss(
            regression_weight=config.regression_weight,
            label_smoothing=config.label_smoothing,
            normalizer=config.normalizer,
        )
        model = Trained(head, loss).to(device)
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average))  # type: ignore[no-untyped-call]
        average.n_averaged.fill_(1)  # the initial weights count, as in the authors' program
        super().__init__(config, clips, folder, device, validation, model, head, average, processes)
        self.loss = loss

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW that decays the weights of linear layers and convolutions, and no bias, norm or scale."""
        decayed: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            (decayed if name.endswith("weight") and parameter.ndim > 1 else plain).append(parameter)
        groups = [{"params": decayed, "weight_decay": self.config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.config.learning_rate, fused=True)

    def rate(self, epoch: int, step: int) -> float:
        """Warm-up and cosine, by step."""
        steps = self.steps(0)
        return self.config.rate(epoch * steps + step, self.config.epochs * steps)

    @property
    def clip_norm(self) -> float:
        """As configured."""
        return self.config.clip_norm

    def training_batch(self, index: np.ndarray, seed: tuple[int, ...]) -> PaddedBatch:
        """A share of these clips, cropped at random."""
        generator = np.random.default_rng(seed)
        cropped = [self.cropped(int(i), generator) for i in index]
        return self.padded(cropped, self.processes.share(len(index)), seed)

    def validation_batch(self, clips: Clips, index: np.ndarray) -> PaddedBatch:
        """These clips as they are."""
        whole = [(clips.clip(i), clips.instances[i], clips.labels[i]) for i in index.tolist()]
        return self.padded(whole, slice(None), (int(index[0]),))

    def cropped(self, index: int, generator: np.random.Generator) -> Cropped:
        """A random piece of a clip: as long as allowed, or .9 to 1 of a shorter clip, with an action in it.

        Instances of which less than half is inside are left out, the others cut at the piece's ends.
        """
        values, instances, labels = self.clips.clip(index), self.clips.instances[index], self.clips.labels[index]
        length = len(values)
        longest = self.config.rescaled or self.config.length
        kept = longest
        if length <= longest:
            shortest = max(round(self.config.crop * length), 1)
            kept = int(generator.integers(shortest, length + 1)) if self.config.crop < 1 else length
        if kept >= length:
            return values, instances, labels
        for _ in range(TRIES):
            first = int(generator.integers(0, length - kept + 1))
            inside = instances.clamp(first, first + kept)
            share = (inside[:, 1] - inside[:, 0]) / (instances[:, 1] - instances[:, 0]).clamp(min=1e-8)
            chosen = share >= INSIDE
            if chosen.any():
                break
        return values[first : first + kept], inside[chosen] - first, labels[chosen]

    def padded(self, clips: list[Cropped], share: slice, seed: tuple[int, ...]) -> PaddedBatch:
        """A batch with a share of them, padded as if all were in it, and the targets of all."""
        longest = max(len(values) for values, _, _ in clips)
        arrays = [
            torch.from_numpy(np.ascontiguousarray(values)).to(self.device).float().T for values, _, _ in clips[share]
        ]
        features, mask = self.head.pad(arrays, longest)
        labels = [one if self.config.multi_class else torch.zeros_like(one) for _, _, one in clips]
        targets = self.head.targets([one for _, one, _ in clips], labels, features.shape[2])
        return PaddedBatch(features, targets, len(clips), seed, mask, share)

    def predict(self, batch: ClipBatch[PointTargets]) -> PointPrediction:
        """Classes and extents at every point; what drop path drops follows from the batch's seed."""
        assert isinstance(batch, PaddedBatch)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed_of(batch.seed))
            # drawn for the whole batch, so that it does not matter how many processes share it
            paths = self.head.draw_paths(batch.total, self.device)
            prediction: PointPrediction = self.head(batch.features, batch.mask, paths[:, batch.share])
        return prediction

    def score(self, prediction: PointPrediction, batch: ClipBatch[PointTargets]) -> Tensor:
        """Focal and distance-IoU loss."""
        total: Tensor = self.loss(prediction, batch.targets).total
        return total

    def evaluated_head(self) -> ActionFormer:
        """The averaged one."""
        averaged = self.average.module.head
        assert isinstance(averaged, ActionFormer)
        return averaged
