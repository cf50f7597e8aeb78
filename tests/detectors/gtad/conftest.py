"""A writer of checkpoints in the format of the authors."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a state dict in the published format."""

    def save(state: dict[str, Tensor]) -> Path:
        path = tmp_path / "GTAD_best.pth.tar"
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
        return path

    return save
