"""Load `transformers` networks and compute their digest."""

import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sola.core.errors import SolaError
from sola.video.encoders.huggingface_folders import one_line

LOADING: Mapping[str, Any] = {
    "dtype": torch.float32,
    "use_safetensors": True,
    "local_files_only": True,
    "ignore_mismatched_sizes": True,  # reported by `missing_weights` instead
    "output_loading_info": True,
}
"""Arguments of `from_pretrained`."""


def transformers_class(name: str) -> Any:
    """Return a class of `transformers`. Raises SolaError if `transformers` is not installed."""
    try:  # import by name, because its type annotations take mypy a minute
        return getattr(importlib.import_module("transformers"), name)
    except ImportError:
        raise SolaError("transformers is not installed; pip install -c constraints.txt 'sola-tal[video]'") from None


@contextmanager
def loading(place: Path | str) -> Iterator[None]:
    """Silence `transformers` while a model is loaded. Raises SolaError naming `place` if loading fails."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # raised by safetensors, the config or the model
        raise SolaError(
            f"{place}: transformers cannot load the model ({one_line(error)}); expected a complete model"
        ) from None
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def missing_weights(report: Mapping[str, Any]) -> set[str]:
    """Return the names of weights that are missing or have the wrong shape, from the info of `from_pretrained`."""
    return set(report["missing_keys"]) | {key for key, *_ in report["mismatched_keys"]}


def check_loaded(place: Path | str, missing: set[str]) -> None:
    """Raise SolaError if weights are missing or have the wrong shape."""
    if missing:
        names = sorted(missing)
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise SolaError(
            f"{place}: encoder weights are missing or have the wrong shape: {listed}; expected a complete model"
        )


def digest(tower: nn.Module, settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of settings and weights."""
    sha256 = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, weight in sorted(tower.state_dict().items()):
        sha256.update(f"{name} {tuple(weight.shape)}".encode())
        sha256.update(weight.detach().cpu().contiguous().numpy())
    return sha256.hexdigest()
