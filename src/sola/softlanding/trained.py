"""A trained SoLa module: its network and its training record."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from sola.core.errors import SolaError
from sola.core.files import read_json, replacing, write_json
from sola.softlanding.multiscale import Network, network_of

WEIGHTS = "module.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True, eq=False)
class TrainedModule:
    """A SoLa network and its provenance, which is recorded in the manifest of transformed features.

    Examples:
        >>> import sola
        >>> module = sola.TrainedModule.load("run")
        >>> module.network.channels
        16
        >>> module.provenance["training"]["seed"]
        0
        >>> module.save("copy")
        >>> sola.TrainedModule.load("copy").fingerprint == module.fingerprint
        True
    """

    network: Network
    """The trained network, in evaluation mode if it was loaded."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Entries "training", "chosen" and "stopped_by" of the run, if known, and "run", its folder or hub id."""

    @classmethod
    def load(cls, source: Path | str, *, revision: str | None = None) -> "TrainedModule":
        """Load a finished run of `sola train` from a folder, or a module from the Hugging Face hub.

        Args:
            source: folder of the run, or id on the hub ("owner/name").
            revision: branch, tag or commit on the hub.

        Raises:
            SolaError: if there is no trained module, or its config and weights do not match.
        """
        local = Path(source).is_dir()
        folder = Path(source) if local else _from_hub(str(source), revision)
        if not (folder / WEIGHTS).is_file():
            raise SolaError(f"{folder}: no {WEIGHTS}; expected the folder of a finished `sola train` run")
        config = read_json(folder / CONFIG, "a SoLa module's config")
        if not isinstance(config, Mapping) or not isinstance(config.get("module"), Mapping):
            raise SolaError(f'{folder / CONFIG}: no "module" entry; expected the config of a `sola train` run')
        try:
            with torch.device("meta"):  # do not allocate memory before the weights are known to match the config
                network = network_of(config["module"])
            weights = load_file(folder / WEIGHTS)
            network.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
        except (TypeError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise SolaError(
                f'{folder / CONFIG}: the "module" entry is not the config of a SoLa module ({reason}); train again'
            ) from None
        except (SafetensorError, OSError) as error:
            raise SolaError(f"{folder / WEIGHTS}: not a readable safetensors file ({error}); train again") from None
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise SolaError(f"{folder / WEIGHTS}: the weights do not match {CONFIG} ({reason}); train again") from None
        run = str(folder.resolve() if local else source)
        return cls(network.eval(), {**_training_of(config), "run": run})

    def save(self, folder: Path | str) -> None:
        """Write `config.json` and `module.safetensors`; an existing config keeps its other entries."""
        path = Path(folder) / CONFIG
        config = read_json(path, "a SoLa module's config") if path.exists() else {}
        write_json(path, {**config, "module": self.network.config()})
        self.save_weights(Path(folder))

    def save_weights(self, folder: Path) -> None:
        """Write `module.safetensors` atomically."""
        with replacing(folder / WEIGHTS) as aside:
            save_file(self._weights(), aside)

    def push_to_hub(self, repo_id: str, *, private: bool = False) -> str:
        """Upload config and weights to the Hugging Face hub, and return the URL of the commit."""
        from huggingface_hub import HfApi

        api = HfApi()
        api.create_repo(repo_id, private=private, exist_ok=True)
        with TemporaryDirectory() as folder:
            self.save(folder)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="SoLa module"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 hash of the weights (hexadecimal)."""
        return hashlib.sha256(save(self._weights())).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the record that identifies the module in the manifest of transformed features."""
        return {
            **self.provenance,
            "config": self.network.config(),
            "gate": self.network.gate_value(),
            "scale": float(self.network.scale),
            "fingerprint": self.fingerprint,
        }

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}


def _training_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance in the config of a run, empty for a module that was saved without training settings."""
    training, chosen = config.get("training"), config.get("chosen")
    if not isinstance(training, Mapping):
        return {}
    return {
        "training": dict(training),
        "chosen": dict(chosen) if isinstance(chosen, Mapping) else {},
        "stopped_by": f"the last of {training.get('epochs', '?')} epochs: no label was looked at",
    }


def _from_hub(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SolaError(f"{source}: neither a local folder nor a module on the Hugging Face hub ({reason})") from None
