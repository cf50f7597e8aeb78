"""Frozen encoders of the Hugging Face hub, from a local folder or by id, in float32."""

import importlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import torch

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.video.encoders.huggingface_families import BILINEAR, FAMILIES, IMAGENET, Family
from sola.video.encoders.huggingface_preprocessing import PREPROCESSING_FILES, read_preprocessing
from sola.video.encoders.tower import TowerEncoder
from sola.video.encoders.videomae2 import (
    FPS,
    PREPROCESSING,
    SIDE,
    STRIDE,
    WINDOW,
    is_videomae2,
    load_videomae2,
)
from sola.video.framing import Framing

FEATURES_PER_SECOND = 4
HIGHEST_FPS = 8.0
"""Highest default: VideoMAE was trained on 30/4 frames per second, TimeSformer on 30/32 to 30/4, V-JEPA 2 on 4."""
FILES = ["*config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json", "README.md"]
"""Files that are fetched from the hub: no pickles."""
VIDEOMAE2_DEFAULTS = {
    **IMAGENET,
    "resample": BILINEAR,
    "crop_size": {"height": SIDE, "width": SIDE},
    "size": {"shortest_edge": SIDE},
}
"""For what the preprocessing of VideoMAE V2 on the hub does not state."""


class HuggingFaceEncoder(TowerEncoder):
    """A frozen video or image encoder of `transformers`, as an `Encoder`.

    By default it gives 4 features per second. A window of VideoMAE and TimeSformer takes 2 seconds, one of V-JEPA 2
    takes 4, and an image encoder sees single frames. At more than 8 frames per second, windows are longer instead.

    Args:
        source: a folder with config.json and model.safetensors, or a model on the hub as `owner/name[@revision]`.
        device: device of the model.
        window: frames per snippet. VideoMAE and TimeSformer only take their own; the feature of an image encoder is
            the mean over the frames.

    Raises:
        SolaError: if the source is not a supported model, lacks weights, or cannot be fetched; if its preprocessing is
            not supported; if `transformers` is not installed.
    """

    def __init__(self, source: str, device: torch.device, *, window: int | None = None) -> None:
        folder, name = located(source)
        record = read_json(folder / "config.json", "the config of a Hugging Face model")
        if is_videomae2(record):
            given = videomae2_settings(folder / "model.safetensors", window)
            own = any((folder / file).is_file() for file in PREPROCESSING_FILES)
            given |= {"preprocessing": read_preprocessing(folder, VIDEOMAE2_DEFAULTS)} if own else {}
        else:
            given = _settings_of_family(source, folder, record, window)
        super().__init__(name=name, license=license_of(folder / "README.md"), record=record, device=device, **given)


class VideoMAE2Encoder(TowerEncoder):
    """VideoMAE V2 from a file of weights: the authors' checkpoint, or safetensors.

    The defaults are those of the published features of THUMOS14: windows of 16 frames, 4 frames apart, at 30 frames per
    second, of whole frames. Raises SolaError as `load_videomae2` does.
    """

    def __init__(self, path: Path, device: torch.device, *, window: int | None = None) -> None:
        given = videomae2_settings(path, window)
        super().__init__(name=path.stem, license="unknown", record={}, device=device, **given)


def videomae2_settings(path: Path, window: int | None) -> dict[str, Any]:
    """Load VideoMAE V2 and return the arguments of `TowerEncoder` that depend on it."""
    tower = load_videomae2(path, window)
    return {"tower": tower, "fps": FPS, "window": WINDOW, "stride": STRIDE, "preprocessing": PREPROCESSING}


def _settings_of_family(source: str, folder: Path, record: Any, window: int | None) -> dict[str, Any]:
    """Load a model and return the arguments of `TowerEncoder` that depend on it."""
    kind = record.get("model_type") if isinstance(record, dict) else None
    family = FAMILIES.get(str(kind))
    if family is None:
        raise SolaError(
            f"{folder / 'config.json'}: model_type {kind!r} is not supported; expected one of "
            f"{', '.join(FAMILIES)}, or VideoMAE V2"
        )
    tower, config = _load(folder, family, record)
    frames = _window(source, family, config, window)
    fps = min(HIGHEST_FPS, frames / family.seconds) if family.frames else float(FEATURES_PER_SECOND)
    height, width = (min(side, family.shown or side) for side in _pair(getattr(config, family.side)))
    preprocessing = read_preprocessing(
        folder,
        dict(family.colors)
        | {"resample": family.resample, "crop_size": {"height": height, "width": width}}
        | {"size": {"shortest_edge": int(max(height, width) * family.margin)}},
    )
    _check_frame(source, family, config, preprocessing.framing)
    stride = max(1, round(fps / FEATURES_PER_SECOND))
    return {"tower": tower, "fps": fps, "window": frames, "stride": stride, "preprocessing": preprocessing}


def located(source: str) -> tuple[Path, str]:
    """Return the folder of a model, fetched if necessary, and its name."""
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
        except Exception as error:  # each HTTP library raises its own types
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
    """Return the tower of a model in evaluation mode, and the config. Weights that are missing are an error."""
    try:  # by name, since its types take mypy a minute
        transformers: Any = importlib.import_module("transformers")
    except ImportError:
        raise SolaError("transformers is not installed; pip install -c constraints.txt 'sola-tal[video]'") from None
    architecture = getattr(transformers, family.architecture)
    try:
        with _quiet(importlib.import_module("transformers.utils.logging")):
            config = architecture.config_class.from_pretrained(folder, local_files_only=True)
            if "vision_config" in record:  # the width of CLIP's projection is in the config of the whole model
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
    except Exception as error:  # raised by safetensors, the config or the model
        raise SolaError(f"{folder}: transformers cannot load it ({_line(error)}); expected a whole model") from None
    missing = set(report["missing_keys"]) | {key for key, *_ in report["mismatched_keys"]}
    needed = sorted(key for key in missing if not key.startswith(family.optional))
    if needed:
        listed = ", ".join(needed[:3]) + (f" and {len(needed) - 3} more" if len(needed) > 3 else "")
        raise SolaError(
            f"{folder}: lacks weights of the encoder, or has them in another size: {listed}; expected a whole model"
        )
    return family.tower(model, missing).eval().requires_grad_(False), model.config


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Silence the log and the progress bar of `transformers`."""
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _window(source: str, family: Family, config: Any, wanted: int | None) -> int:
    """Return the number of frames per snippet."""
    own, step = 1, 1
    if family.frames is not None:
        own, step = int(getattr(config, family.frames)), int(config.tubelet_size) if family.any_window else 0
    window = own if wanted is None else wanted
    if window != own and (not step or window < 1 or window % step):
        expected = f"a multiple of {step}" if step else f"its {own}"
        raise SolaError(f"{source}: a window of {window} frames; expected {expected}")
    return window


def _check_frame(source: str, family: Family, config: Any, framing: Framing) -> None:
    """Raise SolaError unless the model takes frames of this size and color."""
    frame, own, patch = (framing.height, framing.width), _pair(getattr(config, family.side)), _pair(config.patch_size)
    if getattr(config, "num_channels", getattr(config, "in_chans", 3)) != 3:
        raise SolaError(f"{source}: does not take frames of three colors")
    if family.any_side:
        fits = frame[0] % patch[0] == 0 and frame[1] % patch[1] == 0
        expected = f"multiples of its patches' {patch[0]}×{patch[1]}"
    else:
        fits, expected = frame == own, f"{own[0]}×{own[1]}"
    if not fits:
        raise SolaError(
            f"{source}: its preprocessing gives frames of {frame[0]}×{frame[1]} pixels; the model expects {expected}"
        )


def _pair(size: Any) -> tuple[int, int]:
    """Return height and width, of which a single number gives both."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def license_of(card: Path) -> str:
    """Return the license in a model card, or "unknown"."""
    try:
        metadata = huggingface_hub.metadata_load(card) or {}
    except Exception:  # no card, or no YAML in it
        return "unknown"
    license = metadata.get("license")
    if license == "other":
        license = metadata.get("license_name", license)
    return ", ".join(map(str, license)) if isinstance(license, list) else str(license or "unknown")


def _line(error: Exception) -> str:
    """Return the message of an error in one line of at most 300 characters."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
