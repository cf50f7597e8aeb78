"""The task that trains a boundary-map head: clips in random order, scored by the map's loss, validated every epoch."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sola.clips import Clips
from sola.errors import SolaError
from sola.files import replacing
from sola.heads.boundary_map import MapPrediction, MapTargets
from sola.heads.boundary_map_loss import BoundaryMapLoss
from sola.localizer_config import LocalizerConfig
from sola.run import Run

BEST = "best.safetensors"
"""In the run's folder: the weights of the epoch of the lowest validation loss so far."""


@dataclass(frozen=True)
class ClipBatch:
    """A batch on the model's device."""

    features: Float[Tensor, "batch channels time"]
    targets: MapTargets
    seed: tuple[int, ...]
    """Of the cells that the regression draws."""


class ProposalTraining:
    """The engine's task: clips, their targets, and after every epoch the loss on validation clips."""

    def __init__(
        self,
        config: LocalizerConfig,
        clips: Clips,
        folder: Path,
        device: torch.device,
        validation: Clips | None = None,
    ) -> None:
        self.config, self.clips, self.device, self.validation = config, clips, device, validation
        self.run, self.best = Run(folder), folder / BEST
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay the caller's
            torch.manual_seed(config.seed)
            self.model = config.build(clips.values.shape[2]).to(device)
        self.loss = BoundaryMapLoss(self.model.proposals)
        self.order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; the last may be smaller."""
        return math.ceil(len(self.clips) / self.config.batch_size)

    def batch(self, epoch: int, step: int) -> ClipBatch:
        """That batch of the epoch's order, which is drawn from the seed."""
        if self.order[0] != epoch:
            generator = np.random.default_rng((self.config.seed, epoch))
            self.order = epoch, generator.permutation(len(self.clips))
        size = self.config.batch_size
        index = self.order[1][step * size : (step + 1) * size]
        return self.batch_of(self.clips, index, (self.config.seed, epoch, step))

    def batch_of(self, clips: Clips, index: np.ndarray, seed: tuple[int, ...]) -> ClipBatch:
        """These clips and their targets."""
        targets = self.model.targets([clips.instances[i] for i in index.tolist()])
        return ClipBatch(clips.batch(index, self.device), targets.to(self.device), seed)

    def windows(self, batch: ClipBatch) -> int:
        """Clips in the batch."""
        return len(batch.features)

    def predict(self, batch: ClipBatch) -> MapPrediction:
        """Maps and boundaries."""
        prediction: MapPrediction = self.model(batch.features)
        return prediction

    def score(self, prediction: MapPrediction, batch: ClipBatch) -> Tensor:
        """The map's loss."""
        state = np.random.SeedSequence(batch.seed).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state) >> 1)
        return self.loss(prediction, batch.targets, generator).total

    def measures(self, epoch: int) -> dict[str, float]:
        """The loss on the validation clips, where there are some; the weights are kept if it is the lowest so far."""
        if self.validation is None:
            return {}
        loss = self.validation_loss(self.validation)
        if not math.isfinite(loss):
            raise SolaError(f"the validation loss of epoch {epoch + 1} is {loss}; lower --learning-rate")
        if loss < best_so_far(self.best):
            with replacing(self.best) as aside:
                weights = {name: value.cpu().contiguous() for name, value in self.model.state_dict().items()}
                save_file(weights, aside, metadata={"best": json.dumps({"epoch": epoch + 1, "loss": loss})})
        # by the log: the weights may be of an epoch that a resumed run repeats, and has not come to yet
        before = [row["validation_loss"] for row in self.run.rows() if row["epoch"] <= epoch]
        return {"validation_loss": loss, "best_validation_loss": min([loss, *before])}

    @torch.inference_mode()
    def validation_loss(self, clips: Clips) -> float:
        """Mean loss over batches of clips in their order, in fp32."""
        self.model.eval()
        size, total = self.config.batch_size, 0.0
        for start in range(0, len(clips), size):
            index = np.arange(start, min(start + size, len(clips)))
            batch = self.batch_of(clips, index, (start,))  # every epoch is judged on the same cells
            total += float(self.score(self.predict(batch), batch)) * len(index)
        self.model.train()
        return total / len(clips)

    def take_best(self) -> int | None:
        """Load the best epoch's weights into the model and return which it was; None where nothing was validated."""
        if self.validation is None or not self.best.is_file():
            return None
        with damage_told(self.best):
            self.model.load_state_dict(load_file(self.best))
            with safe_open(self.best, framework="pt") as stream:
                return int(json.loads(stream.metadata()["best"])["epoch"])


def best_so_far(path: Path) -> float:
    """The lowest validation loss that a run has kept weights of; infinite where there are none."""
    if not path.is_file():
        return math.inf
    with damage_told(path), safe_open(path, framework="pt") as stream:
        return float(json.loads(stream.metadata()["best"])["loss"])


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Raise SolaError where the best weights of a run cannot be read."""
    try:
        yield
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SolaError(f"{path}: not the best weights of this run ({reason}); start again with --overwrite") from None
