"""Hugging Face model folders, local or downloaded from the hub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub

from sola.core.errors import SolaError
from sola.core.files import read_json

FILES = ["*config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json", "README.md"]
"""Files to download from the hub: no pickles and no code."""


@dataclass(frozen=True)
class ModelFolder:
    """A model folder with config.json and safetensors weights."""

    source: str
    """Name given by the user."""
    path: Path
    """Local folder."""
    name: str
    """Name of the folder, or id on the hub."""
    config: Mapping[str, Any]
    """Contents of config.json."""

    @classmethod
    def find(cls, source: str) -> "ModelFolder":
        """Return a local folder, or download a model from the hub by its id `owner/name[@revision]`.

        Raises SolaError if the model does not exist, cannot be downloaded, or lacks a config or safetensors weights.
        """
        path, name = Path(source).expanduser(), source
        if path.is_dir():
            name = path.resolve().name
        else:
            path = _download(source)
        if not (path / "config.json").is_file():
            raise SolaError(f"{path}: no config.json; expected a Hugging Face model")
        if not any((path / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
            raise SolaError(
                f"{source}: no model.safetensors, and pickled weights are not loaded; convert them with "
                "save_pretrained, or pass a revision with safetensors, such as owner/name@refs/pr/1"
            )
        config = read_json(path / "config.json", "the config of a Hugging Face model")
        return cls(source, path, name, config if isinstance(config, dict) else {})

    def is_a(self, family: str) -> bool:
        """Return True if config.json names this family of models, such as "videomaev2"."""
        return any(family in str(self.config.get(key)).lower() for key in ("model_type", "architectures"))

    @property
    def license(self) -> str:
        """License in the model card, or "unknown"."""
        try:
            metadata = huggingface_hub.metadata_load(self.path / "README.md") or {}
        except Exception:  # no model card, or a card without YAML
            return "unknown"
        license = metadata.get("license")
        if license == "other":
            license = metadata.get("license_name", license)
        return ", ".join(map(str, license)) if isinstance(license, list) else str(license or "unknown")


def _download(source: str) -> Path:
    """Download a model from the hub and return its folder."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?", source):
        raise SolaError(
            f"{source}: no such folder; expected a folder with config.json and model.safetensors, "
            "or the id owner/name of a model on the Hugging Face hub"
        )
    repository, _, revision = source.partition("@")
    try:
        return Path(huggingface_hub.snapshot_download(repository, revision=revision or None, allow_patterns=FILES))
    except Exception as error:  # HTTP libraries raise different exception types
        raise SolaError(
            f"{source}: no such folder, and downloading it from the Hugging Face hub failed ({one_line(error)}); "
            "check the name and the network, or pass the folder of a downloaded model"
        ) from None


def one_line(error: Exception) -> str:
    """Return an error message as one line of at most 300 characters."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
