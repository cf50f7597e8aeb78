"""Checkpoints of video encoders, frames for them, and errors of loading them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sola.core.errors import SolaError
from sola.video.encoders.loading import load_encoder

CPU = torch.device("cpu")


def some_frames(batch: int, window: int = 16) -> np.ndarray:
    """Return random frames [batch, window, 224, 224, 3]."""
    return np.random.default_rng(0).integers(0, 256, (batch, window, 224, 224, 3), np.uint8)


def checkpoint(path: Path, weights: dict[str, torch.Tensor], entry: str | None = "module") -> str:
    """Write weights as a checkpoint of the authors, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({entry: weights} if entry else weights, path)
    return str(path)


def refused(source: str, window: int | None = None) -> str:
    """Return the error of loading an encoder, which must be one line."""
    with pytest.raises(SolaError) as error:
        load_encoder(source, CPU, window=window)
    assert "\n" not in str(error.value)
    return str(error.value)
