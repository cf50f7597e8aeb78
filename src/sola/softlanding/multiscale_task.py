"""The training task of a multi-scale module: train the modules of all steps together, each on its own windows."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sola.core.errors import SolaError
from sola.data.ragged import PackedFeatures, allocate
from sola.softlanding.config import TrainingConfig
from sola.softlanding.moments import leading, video_moments
from sola.softlanding.multiscale import MultiScaleSoLa
from sola.softlanding.multiscale_config import MultiScaleConfig
from sola.softlanding.task import SimilarityMatching, Windows
from sola.softlanding.transform import PIECE
from sola.softlanding.windows import longest_step

SNIPPETS = 200_000
"""Approximate number of snippets used for the conditioning and for the means and weights of the parts."""

Predictions = tuple[tuple[Tensor, Tensor], ...]
"""Unit vectors and predictions for each module."""


@dataclass(frozen=True)
class MultiScaleWindows:
    """A batch of windows for each module, all of the same size."""

    windows: tuple[Windows, ...]

    def __len__(self) -> int:
        return len(self.windows[0])

    def share(self, part: slice) -> "MultiScaleWindows":
        """Return the batch with only these windows of each module."""
        return MultiScaleWindows(tuple(windows.share(part) for windows in self.windows))


class MultiScaleMatching:
    """Train a multi-scale module on conditioned, reduced features, which are computed once.

    The loss is the sum of the losses of its modules.

    Raises:
        SolaError: if no video is as long as a window of the largest step.
    """

    average = None
    clip_norm = None

    def __init__(
        self,
        config: MultiScaleConfig,
        packed: PackedFeatures,
        device: torch.device,
        memory_limit: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.config, self.packed, self.device = config, packed, device
        _check_windows(config, int(packed.lengths.max()))
        with torch.random.fork_rng(devices=[]):  # keeps the random state of the caller
            torch.manual_seed(config.seed)
            self.network = config.module(packed.values.shape[1])
        self.sample = sample(packed, SNIPPETS)
        self.network.fit_input(video_moments(map(packed.video, self.sample)))
        for part in self.network.random:
            part.requires_grad_(False)
        inputs = module_inputs(packed, self.network, memory_limit, folder)
        self.model = self.network.to(device)
        self.tasks = [
            SimilarityMatching(self._part(step, packed), inputs, device, module)
            for step, module in zip(self.network.steps, self.network.trained, strict=True)
        ]

    def optimizer(self) -> torch.optim.Optimizer:
        """Return AdamW at a constant learning rate."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(
            parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )

    def rate(self, epoch: int, step: int) -> float:
        """Return 1: the learning rate is constant."""
        return 1.0

    def steps(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""
        return self.config.batches

    def batch(self, epoch: int, step: int) -> MultiScaleWindows:
        """Gather a batch of windows for each module."""
        return MultiScaleWindows(tuple(task.batch(epoch, step) for task in self.tasks))

    def predict(self, batch: MultiScaleWindows) -> Predictions:
        """Return unit vectors and predictions for each module."""
        return tuple(task.predict(windows) for task, windows in zip(self.tasks, batch.windows, strict=True))

    def score(self, prediction: Predictions, batch: MultiScaleWindows) -> Float[Tensor, ""]:
        """Return the sum of the losses of the modules."""
        losses = [
            task.score(predicted, windows)
            for task, predicted, windows in zip(self.tasks, prediction, batch.windows, strict=True)
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def evaluate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return the gate and the collapse measures, averaged over the modules."""
        rows = [task.evaluate(model, epoch) for task in self.tasks]
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    @torch.no_grad()
    def finish(self) -> None:
        """Set the means and weights of the parts and the output map from a sample of the training videos."""
        network = self.network
        network.fit_parts(self._videos(), PIECE)
        if network.mapped is not None:
            moments = np.zeros((len(network.mapping), len(network.mapping)))
            for video in self._videos():
                joined = network.join(video, PIECE)[0].cpu().numpy().astype(np.float64)
                moments += joined.T @ joined
            network.mapping.copy_(torch.from_numpy(leading(moments, network.mapped)))

    def _videos(self) -> Iterator[Float[Tensor, "1 time channels"]]:
        for index in self.sample:
            yield torch.from_numpy(self.packed.video(index).astype(np.float32)).to(self.device)[None]

    def _part(self, step: int, packed: PackedFeatures) -> TrainingConfig:
        part = self.config.part(step)
        videos = int((packed.lengths >= part.window).sum())
        windows = -(-self.config.batches * part.batch_size // videos)
        return dataclasses.replace(part, windows_per_video=windows)


def _check_windows(config: MultiScaleConfig, longest: int) -> None:
    """Raise SolaError if the windows of the largest step are longer than the longest video (snippets)."""
    step = config.steps[-1]
    if config.part(step).window > longest:
        fits = longest_step(longest, config.positions, config.margin)
        raise SolaError(
            f"largest_step={config.largest_step}: no video is as long as a window of {config.part(step).window} "
            f"snippets at step {step}; the longest video has {longest}; pass --largest-step {fits} or less"
        )


def sample(packed: PackedFeatures, snippets: int) -> range:
    """Return the indices of evenly spaced videos with about this many snippets in total, or of all videos."""
    return range(0, len(packed.videos), max(round(len(packed.values) / snippets), 1))


@torch.no_grad()
def module_inputs(
    packed: PackedFeatures, network: MultiScaleSoLa, memory_limit: int | None, folder: Path | None
) -> PackedFeatures:
    """Return the module inputs of all videos as float32, mapped from a file if larger than `memory_limit` bytes."""
    shape = (len(packed.values), network.reduced or network.channels)
    values = allocate(shape, np.dtype(np.float32), memory_limit, folder)
    for index in range(len(packed.videos)):
        video = torch.from_numpy(packed.video(index).astype(np.float32))[None]
        values[packed.starts[index] : packed.starts[index + 1]] = network.reduce(network.condition(video))[0].numpy()
    return dataclasses.replace(packed, values=values)
