"""Loading of checkpoints from published code: read, rename weights, and report mismatches."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from sola.core.errors import SolaError


def published_weights(path: Path | str, entries: Sequence[str] = ("state_dict",)) -> dict[str, Tensor]:
    """Read the weights of a checkpoint `{"state_dict": …}` or a bare state dict, and strip the prefix `module.`.

    The first key of `entries` present in the checkpoint is used. Only tensors and plain containers are unpickled.
    Raises SolaError if the file is not such a checkpoint.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about other pickle protocols before it refuses them
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SolaError(f"{path}: cannot be read ({error.strerror or error}); expected a checkpoint") from None
    except Exception:  # a damaged archive or pickle can raise almost any exception
        raise SolaError(
            f"{path}: not a PyTorch checkpoint, or it holds objects other than weights; save only its state dict"
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


def check_names(path: Path | str, names: Iterable[str], expected: Iterable[str], what: str) -> None:
    """Raise SolaError if any weight names are missing or unexpected, and list them."""
    names, expected = set(names), set(expected)
    faults = []
    for problem, wrong in {"lacks": expected - names, "has the unexpected": names - expected}.items():
        if wrong:
            listed = ", ".join(sorted(wrong)[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
            faults.append(f"it {problem} {listed}")
    if faults:
        raise SolaError(f"{path}: not the weights of {what}: {'; '.join(faults)}")


def weights_and_biases(layers: Mapping[str, str]) -> dict[str, str]:
    """Map the names of each layer's weight and bias here to their published names."""
    return {
        f"{name}.{kind}": f"{published}.{kind}" for name, published in layers.items() for kind in ("weight", "bias")
    }


@contextmanager
def building(path: Path | str, what: str) -> Iterator[None]:
    """Context for building a network with the sizes of published weights, without changing the random state.

    If the network cannot be built, raises SolaError with the file name.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except (IndexError, RuntimeError, SolaError) as error:
        reason = " ".join(str(error).split())
        raise SolaError(f"{path}: not the weights of {what} with these options ({reason})") from None


def load_renamed(path: Path | str, model: nn.Module, weights: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    """Load renamed weights into a model; shapes may differ in axes of size 1.

    Raises SolaError if a shape does not match. The message gives the published name of the weight, from `names`.
    """
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for name, tensor in weights.items():
        if tensor.squeeze().shape != torch.Size(size for size in shapes[name] if size != 1):
            raise SolaError(
                f"{path}: {names.get(name, name)} is {list(tensor.shape)}, which does not fit the other weights; "
                f"expected {list(shapes[name])}"
            )
    model.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in weights.items()})
