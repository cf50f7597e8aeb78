"""The task that trains a boundary-map head, BMN or G-TAD."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sola.detectors.bmn.network import BMN
from sola.detectors.clips import Clips
from sola.detectors.gtad.network import GTAD
from sola.detectors.proposal_map.config import ProposalMapConfig
from sola.detectors.proposal_map.loss import ProposalMapLoss
from sola.detectors.proposal_map.map import MapPrediction, MapTargets
from sola.detectors.task import ClipBatch, DetectionTask, seed_of
from sola.training.distributed import ALONE, Processes


class ProposalTraining(DetectionTask[MapTargets, MapPrediction, BMN | GTAD]):
    """Clips of equal length, scored by the map's loss; Adam, its rate divided by ten every few epochs."""

    config: ProposalMapConfig

    def __init__(
        self,
        config: ProposalMapConfig,
        clips: Clips,
        folder: Path,
        device: torch.device,
        validation: Clips | None = None,
        processes: Processes = ALONE,
    ) -> None:
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay the caller's
            torch.manual_seed(config.seed)
            head = config.build(clips.values.shape[1], 0).to(device)
        super().__init__(config, clips, folder, device, validation, head, head, processes=processes)
        self.loss = ProposalMapLoss(head.proposals)

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam with L2 regularization, as published."""
        return torch.optim.Adam(
            self.model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )

    def rate(self, epoch: int, step: int) -> float:
        """A tenth more often as epochs pass."""
        return self.config.rate(epoch)

    def training_batch(self, index: np.ndarray, seed: tuple[int, ...]) -> ClipBatch[MapTargets]:
        """These clips; nothing is augmented, the seed is that of the cells that the regression draws."""
        return self.batch_of(self.clips, index, self.processes.share(len(index)), seed)

    def validation_batch(self, clips: Clips, index: np.ndarray) -> ClipBatch[MapTargets]:
        """These clips; every epoch is judged on the same cells."""
        return self.batch_of(clips, index, slice(None), (int(index[0]),))

    def batch_of(self, clips: Clips, index: np.ndarray, share: slice, seed: tuple[int, ...]) -> ClipBatch[MapTargets]:
        """A share of these clips and the targets of all."""
        targets = self.head.targets([clips.instances[i] for i in index.tolist()])
        return ClipBatch(clips.batch(index[share], self.device), targets.to(self.device), len(index), seed)

    def predict(self, batch: ClipBatch[MapTargets]) -> MapPrediction:
        """Maps and boundaries."""
        prediction: MapPrediction = self.head(batch.features)
        return prediction

    def score(self, prediction: MapPrediction, batch: ClipBatch[MapTargets]) -> Tensor:
        """The map's loss."""
        generator = torch.Generator().manual_seed(seed_of(batch.seed))
        return self.loss(prediction, batch.targets, generator).total

    def evaluated_head(self) -> BMN | GTAD:
        """The head itself."""
        return self.head
