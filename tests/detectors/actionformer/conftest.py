"""A writer of checkpoints in the format of the authors."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a checkpoint in the published format."""

    def save(state: dict[str, Tensor], **entries: dict[str, Tensor]) -> Path:
        path = tmp_path / "epoch_034.pth.tar"
        entries = {"state_dict": state, **entries}
        named = {key: {f"module.{name}": value for name, value in part.items()} for key, part in entries.items()}
        torch.save({"epoch": 34, "scheduler": {"last_epoch": 1}, "optimizer": {"state": {}}, **named}, path)
        return path

    return save
