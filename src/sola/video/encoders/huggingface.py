"""Encoders of the Hugging Face hub, from a local folder or by their id: frozen, in float32, heads left off."""

import hashlib
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.video.encoders.huggingface_families import FAMILIES, VJEPA2, DINOv2, Family
from sola.video.encoders.huggingface_preprocessing import Preprocessing, read_preprocessing
from sola.video.framing import Framing

FEATURES_PER_SECOND = 4
HIGHEST_FPS = 8.0
"""None of these was trained on more: VideoMAE on 30/4 frames a second, TimeSformer on 30/32 to 30/4, V-JEPA 2 on 4."""
FILES = ["*config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json", "README.md"]
"""What is fetched of a model on the hub: no pickles."""


class HuggingFaceEncoder:
    """A frozen video or image encoder that `transformers` reads, as an `Encoder`.

    By default it gives 4 features a second. A window of VideoMAE and TimeSformer takes 2 seconds (VideoMAE's 16 frames
    at 8 a second are near every 4th at 30, which it was trained on; TimeSformer saw up to 8 seconds on
    Kinetics, too long to find the end of an action), one of V-JEPA 2 takes 4 (its pre-training's 16 frames at 4 a
    second), an image encoder sees single frames. Where that would be more than 8 frames a second, windows are longer.

    Args:
        source: a folder with config.json and model.safetensors, or `owner/name` of a model on the hub, where need be
            with `@revision` after it.
        device: where it runs.
        window: frames that a snippet spans. VideoMAE and TimeSformer have no other than their own; an image encoder
            given more than 1 gives the mean over them.

    Raises:
        SolaError: when the source is no model of a supported family, lacks weights, or cannot be fetched; when its
            preprocessing cannot be done here; when `transformers` is not installed.
    """

    def __init__(self, source: str, device: torch.device, *, window: int | None = None) -> None:
        folder, self.name = _located(source)
        record = read_json(folder / "config.json", "the config of a Hugging Face model")
        kind = record.get("model_type") if isinstance(record, dict) else None
        family = FAMILIES.get(str(kind))
        if family is None:
            raise SolaError(
                f"{folder / 'config.json'}: model_type {kind!r} is not supported; expected one of {', '.join(FAMILIES)}"
            )
        tower, config = _load(folder, family, record)
        self.window = _window(source, family, config, window)
        self.fps = min(HIGHEST_FPS, self.window / family.seconds) if family.frames else float(FEATURES_PER_SECOND)
        self.stride = max(1, round(self.fps / FEATURES_PER_SECOND))
        height, width = (min(side, family.shown or side) for side in _pair(getattr(config, family.side)))
        self.preprocessing = read_preprocessing(
            folder,
            dict(family.colors)
            | {"resample": family.resample, "crop_size": {"height": height, "width": width}}
            | {"size": {"shortest_edge": int(max(height, width) * family.margin)}},
        )
        _check_frame(source, family, config, self.framing)
        self.dim = int(tower.dim)
        self.license = _license(folder / "README.md")
        self.identity = _identity(tower, record, self.preprocessing, self.window)
        self.device = device
        self._tower = tower.to(device)
        self._mean = torch.tensor(self.preprocessing.mean, device=device).view(3, 1, 1)
        self._deviation = torch.tensor(self.preprocessing.deviation, device=device).view(3, 1, 1)

    @property
    def framing(self) -> Framing:
        """How it wants its frames."""
        return self.preprocessing.framing

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[np.ndarray, "batch {self.window} {self.framing.height} {self.framing.width} 3"]
    ) -> Float32[np.ndarray, "batch {self.dim}"]:
        """Return one feature for each window of frames."""
        pixels = torch.tensor(frames).to(self.device).permute(0, 1, 4, 2, 3).float()  # a copy, of 1 byte a value
        pixels = (pixels * self.preprocessing.scale - self._mean) / self._deviation
        features: np.ndarray = self._tower(pixels).float().cpu().numpy()
        return features


def _located(source: str) -> tuple[Path, str]:
    """The folder of a model, fetched where need be, and its name."""
    folder, name = Path(source).expanduser(), source
    if folder.is_dir():
        name = folder.resolve().name
    else:
        if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?", source):
            raise SolaError(
                f"{source}: no such folder; expected one with config.json and model.safetensors, "
                "or owner/name of a model on the Hugging Face hub"
            )
        repository, _, revision = source.partition("@")
        try:
            folder = Path(
                huggingface_hub.snapshot_download(repository, revision=revision or None, allow_patterns=FILES)
            )
        except Exception as error:  # every HTTP library has exceptions of its own
            raise SolaError(
                f"{source}: no such folder, and not to be had from the Hugging Face hub ({_line(error)}); "
                "check the name and the network, or name the folder of a downloaded model"
            ) from None
    if not (folder / "config.json").is_file():
        raise SolaError(f"{folder}: has no config.json; expected a Hugging Face model")
    if not any((folder / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
        raise SolaError(
            f"{source}: has no model.safetensors, and nothing is unpickled; convert it with save_pretrained, "
            "or name a revision that has it, as in owner/name@refs/pr/1"
        )
    return folder, name


def _load(folder: Path, family: Family, record: Mapping[str, Any]) -> tuple[Any, Any]:
    """The part of a model that makes features, in evaluation mode, and the model's config.

    `transformers` draws weights that a checkpoint lacks at random, and says so in its log: here that is an error.
    """
    try:  # by its name, as its types would cost the type checker a minute
        transformers: Any = importlib.import_module("transformers")
    except ImportError:
        raise SolaError("transformers is not installed; pip install -c constraints.txt 'sola-tal[video]'") from None
    architecture = getattr(transformers, family.architecture)
    try:
        with _quiet(importlib.import_module("transformers.utils.logging")):
            config = architecture.config_class.from_pretrained(folder, local_files_only=True)
            if "vision_config" in record:  # CLIP's projection is as wide as the whole model says
                config.projection_dim = record.get("projection_dim", config.projection_dim)
            model, report = architecture.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:  # from safetensors, from the config's checks, from the model's
        raise SolaError(f"{folder}: transformers cannot load it ({_line(error)}); expected a whole model") from None
    lacking = set(report["missing_keys"]) | {key for key, *_ in report["mismatched_keys"]}
    needed = sorted(key for key in lacking if not key.startswith(family.optional))
    if needed:
        listed = ", ".join(needed[:3]) + (f" and {len(needed) - 3} more" if len(needed) > 3 else "")
        raise SolaError(
            f"{folder}: lacks weights of the encoder, or has them in another size: {listed}; expected a whole model"
        )
    tower = family.tower(model, lacking)
    return tower.eval().requires_grad_(False), model.config


@contextmanager
def _quiet(remarks: Any) -> Iterator[None]:
    """Keep `transformers` from telling what is left off, and how far it is."""
    level, bar = remarks.get_verbosity(), remarks.is_progress_bar_enabled()
    remarks.set_verbosity(remarks.CRITICAL)
    remarks.disable_progress_bar()
    try:
        yield
    finally:
        remarks.set_verbosity(level)
        if bar:
            remarks.enable_progress_bar()


def _window(source: str, family: Family, config: Any, wanted: int | None) -> int:
    """How many frames a snippet spans."""
    if family.frames is None:
        own, step = 1, 1
    else:
        own = int(getattr(config, family.frames))
        step = int(config.tubelet_size) if family.tower is VJEPA2 else 0  # rotary positions go on; tables do not
    window = own if wanted is None else wanted
    if window != own and (not step or window < 1 or window % step):
        expected = f"a multiple of {step}" if step else f"its {own}"
        raise SolaError(f"{source}: a window of {window} frames; expected {expected}")
    return window


def _check_frame(source: str, family: Family, config: Any, framing: Framing) -> None:
    """Refuse frames that the model would refuse, or would take for something else."""
    frame, own, patch = (framing.height, framing.width), _pair(getattr(config, family.side)), _pair(config.patch_size)
    if getattr(config, "num_channels", getattr(config, "in_chans", 3)) != 3:
        raise SolaError(f"{source}: does not take frames of three colors")
    if family.tower is DINOv2:  # trained at 518 pixels and used at 224; its positions are interpolated
        fits = frame[0] % patch[0] == 0 and frame[1] % patch[1] == 0
        expected = f"multiples of its patches' {patch[0]}×{patch[1]}"
    else:
        fits, expected = frame == own, f"{own[0]}×{own[1]}"
    if not fits:
        raise SolaError(
            f"{source}: its preprocessing gives frames of {frame[0]}×{frame[1]} pixels; the model expects {expected}"
        )


def _pair(size: Any) -> tuple[int, int]:
    """Height and width of what may be one number for both."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _license(card: Path) -> str:
    """The license that a model card names, or "unknown"."""
    try:
        metadata = huggingface_hub.metadata_load(card) or {}
    except Exception:  # no card, or one that is no YAML: it is only prose
        return "unknown"
    license = metadata.get("license")
    if license == "other":
        license = metadata.get("license_name", license)
    return ", ".join(map(str, license)) if isinstance(license, list) else str(license or "unknown")


NO_MATTER = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
"""Keys of config.json that change no feature."""


def _identity(tower: nn.Module, record: Mapping[str, Any], preprocessing: Preprocessing, window: int) -> str:
    """The SHA-256 of all that makes a feature what it is."""
    config = {key: value for key, value in record.items() if key not in NO_MATTER}
    settings = {"config": config, "preprocessing": repr(preprocessing), "window": window}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, weight in sorted(tower.state_dict().items()):
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().numpy())
    return digest.hexdigest()


def _line(error: Exception) -> str:
    """What an error says, on one line and not at every length."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
