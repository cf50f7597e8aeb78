"""Files of published weights are read without unpickling objects, or refused with one line."""

import argparse
from pathlib import Path

import pytest
import torch

from sola.core.errors import SolaError
from sola.core.published import published_weights


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "not a PyTorch checkpoint"),
        (b"", "not a PyTorch checkpoint"),
        (None, "cannot be read"),
        ([1, 2], "expected a state dict"),
        ({"state_dict": {"weight": 1}}, "expected a state dict"),
        ({"state_dict": {}, "options": argparse.Namespace()}, "objects other than weights"),
    ],
    ids=["text", "empty", "absent", "list", "numbers", "objects"],
)
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(SolaError, match=f"weights.pth: .*{message}"):
        published_weights(path)


def test_checkpoint_may_be_a_bare_state_dict(tmp_path: Path) -> None:
    torch.save({"module.weight": torch.ones(2)}, tmp_path / "weights.pth")
    assert published_weights(tmp_path / "weights.pth")["weight"].tolist() == [1, 1]
