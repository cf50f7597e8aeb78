"""Checkpoints of published programs: their weights under their names, and an error that says what does not fit."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sola.core.errors import SolaError


def published_weights(path: Path | str, entries: Sequence[str] = ("state_dict",)) -> dict[str, Tensor]:
    """Read the weights of a checkpoint `{"state_dict": …}` or of a bare state dict, without `module.` before the names.

    Of `entries` the first that the checkpoint has is read. Nothing is unpickled but tensors and plain containers.

    Raises:
        SolaError: when the file is no such checkpoint.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles of another protocol, and then refuses them or not
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SolaError(f"{path}: cannot be read ({error.strerror or error}); expected a checkpoint") from None
    except Exception:  # a damaged archive or pickle can raise nearly anything
        raise SolaError(
            f"{path}: not a PyTorch checkpoint, or one that holds more than weights; nothing else is unpickled"
        ) from None
    weights, entry = None, entries[-1]
    if isinstance(checkpoint, Mapping):
        entry = next((name for name in entries if checkpoint.get(name) is not None), entry)
        weights = checkpoint.get(entry, checkpoint)
    if not isinstance(weights, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise SolaError(f'{path}: expected a state dict, alone or under "{entry}"')
    return {name.removeprefix("module."): tensor for name, tensor in weights.items()}


def check_names(path: Path | str, found: Iterable[str], expected: Iterable[str], what: str) -> None:
    """Refuse weights with names missing or left over.

    Raises:
        SolaError: which names those are.
    """
    found, expected = set(found), set(expected)
    faults = []
    for problem, names in {"lacks": expected - found, "has the unexpected": found - expected}.items():
        if names:
            listed = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            faults.append(f"it {problem} {listed}")
    if faults:
        raise SolaError(f"{path}: not the weights of {what}: {'; '.join(faults)}")
