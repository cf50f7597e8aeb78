"""Folders of Hugging Face models, local or fetched from the hub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub

from sola.core.errors import SolaError
from sola.core.files import read_json

FILES = ["*config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json", "README.md"]
"""Files that are fetched from the hub: no pickles, no code."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder with config.json and weights in safetensors."""

    source: str
    """The name it was asked for by."""
    path: Path
    name: str
    """Name of the folder, or id on the hub."""
    config: Mapping[str, Any]
    """What is in config.json."""

    @classmethod
    def find(cls, source: str) -> "ModelFolder":
        """Return a local folder, or fetch a model from the hub by its id, `owner/name[@revision]`.

        Raises SolaError if there is none, it cannot be fetched, or it has no config or no safetensors.
        """
        path, name = Path(source).expanduser(), source
        if path.is_dir():
            name = path.resolve().name
        else:
            path = _fetched(source)
        if not (path / "config.json").is_file():
            raise SolaError(f"{path}: has no config.json; expected a Hugging Face model")
        if not any((path / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
            raise SolaError(
                f"{source}: has no model.safetensors, and nothing is unpickled; convert it with save_pretrained, "
                "or name a revision that has it, as in owner/name@refs/pr/1"
            )
        config = read_json(path / "config.json", "the config of a Hugging Face model")
        return cls(source, path, name, config if isinstance(config, dict) else {})

    @property
    def license(self) -> str:
        """License in the model card, or "unknown"."""
        try:
            metadata = huggingface_hub.metadata_load(self.path / "README.md") or {}
        except Exception:  # no card, or no YAML in it
            return "unknown"
        license = metadata.get("license")
        if license == "other":
            license = metadata.get("license_name", license)
        return ", ".join(map(str, license)) if isinstance(license, list) else str(license or "unknown")


def _fetched(source: str) -> Path:
    """Return the folder of a model that is fetched from the hub."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?", source):
        raise SolaError(
            f"{source}: no such folder; expected one with config.json and model.safetensors, "
            "or owner/name of a model on the Hugging Face hub"
        )
    repository, _, revision = source.partition("@")
    try:
        return Path(huggingface_hub.snapshot_download(repository, revision=revision or None, allow_patterns=FILES))
    except Exception as error:  # each HTTP library raises its own types
        raise SolaError(
            f"{source}: no such folder, and not to be had from the Hugging Face hub ({one_line(error)}); "
            "check the name and the network, or name the folder of a downloaded model"
        ) from None


def one_line(error: Exception) -> str:
    """Return the message of an error in one line of at most 300 characters."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
