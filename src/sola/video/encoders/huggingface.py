"""Frozen Hugging Face encoders loaded with `transformers`, in float32."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from sola.core.errors import SolaError
from sola.video.encoders.huggingface_families import FAMILIES, Family
from sola.video.encoders.huggingface_folders import ModelFolder
from sola.video.encoders.huggingface_preprocessing import read_preprocessing
from sola.video.encoders.transformers_models import (
    LOADING,
    check_loaded,
    digest,
    loading,
    missing_weights,
    transformers_class,
)
from sola.video.framing import Framing

FEATURES_PER_SECOND = 4
"""Default number of features per second."""
HIGHEST_FPS = 8.0
"""Highest default frame rate. VideoMAE was trained at 30/4 frames per second, TimeSformer at 30/32 to 30/4, V-JEPA 2 at
4."""

IRRELEVANT = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
"""Keys of config.json that do not affect features."""


class HuggingFaceEncoder:
    """A frozen video or image encoder of `transformers`, as an `Encoder`.

    By default it computes 4 features per second. A window lasts 2 seconds for VideoMAE and TimeSformer and 4 seconds
    for V-JEPA 2, and is a single frame for image encoders. Windows are longer where that would need more than 8 frames
    per second.

    Args:
        model: folder of the model.
        device: device of the model.
        window: frames per snippet. VideoMAE and TimeSformer support only the window of the checkpoint. For an image
            encoder, the feature is the mean over the frames.

    Raises:
        SolaError: if the model or its preprocessing is not supported, if weights are missing, or if `transformers` is
            not installed.
    """

    def __init__(self, model: ModelFolder, device: torch.device, *, window: int | None = None) -> None:
        kind = model.config.get("model_type")
        family = FAMILIES.get(str(kind))
        if family is None:
            raise SolaError(
                f"{model.path / 'config.json'}: model_type {kind!r} is not supported; "
                f"expected one of {', '.join(FAMILIES)}"
            )
        tower, config = _load(model, family)
        self.window = _window(model.source, family, config, window)
        self.fps = min(HIGHEST_FPS, self.window / family.seconds) if family.frames else float(FEATURES_PER_SECOND)
        self.stride = max(1, round(self.fps / FEATURES_PER_SECOND))
        height, width = (min(side, family.shown or side) for side in _pair(getattr(config, family.side)))
        self.preprocessing = read_preprocessing(
            model.path,
            dict(family.colors)
            | {"resample": family.resample, "crop_size": {"height": height, "width": width}}
            | {"size": {"shortest_edge": int(max(height, width) * family.margin)}},
        )
        _check_frame(model.source, family, config, self.framing)
        self.dim = int(tower.dim)
        self.name, self.license = model.name, model.license
        settings = {key: value for key, value in model.config.items() if key not in IRRELEVANT}
        self.identity = digest(
            tower, {"config": settings, "preprocessing": repr(self.preprocessing), "window": self.window}
        )
        self.device = device
        self._tower = tower.to(device)
        self._mean = torch.tensor(self.preprocessing.mean, device=device).view(3, 1, 1)
        self._deviation = torch.tensor(self.preprocessing.deviation, device=device).view(3, 1, 1)

    @property
    def framing(self) -> Framing:
        """Size and interpolation of frames."""
        return self.preprocessing.framing

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[np.ndarray, "batch {self.window} {self.framing.height} {self.framing.width} 3"]
    ) -> Float32[np.ndarray, "batch {self.dim}"]:
        """Return one feature per window of frames."""
        pixels = torch.tensor(frames).to(self.device).permute(0, 1, 4, 2, 3).float()
        pixels = (pixels * self.preprocessing.scale - self._mean) / self._deviation
        features: np.ndarray = self._tower(pixels).float().cpu().numpy()
        return features


def _load(model: ModelFolder, family: Family) -> tuple[Any, Any]:
    """Return the feature network in evaluation mode, and its config. Raises SolaError for missing weights."""
    architecture = transformers_class(family.architecture)
    with loading(model.path):
        config = architecture.config_class.from_pretrained(model.path, local_files_only=True)
        if "vision_config" in model.config:  # the projection size of CLIP is in the config of the whole model
            config.projection_dim = model.config.get("projection_dim", config.projection_dim)
        network, report = architecture.from_pretrained(model.path, config=config, **LOADING)
    missing = missing_weights(report)
    check_loaded(model.path, {key for key in missing if not key.startswith(family.optional)})
    return family.tower(network, missing).eval().requires_grad_(False), network.config


def _window(source: str, family: Family, config: Any, requested: int | None) -> int:
    """Return the number of frames per snippet."""
    default, step = 1, 1
    if family.frames is not None:
        default, step = int(getattr(config, family.frames)), int(config.tubelet_size) if family.any_window else 0
    window = default if requested is None else requested
    if window != default and (not step or window < 1 or window % step):
        expected = f"a multiple of {step}" if step else f"{default}"
        raise SolaError(f"{source}: a window of {window} frames; expected {expected}")
    return window


def _check_frame(source: str, family: Family, config: Any, framing: Framing) -> None:
    """Raise SolaError unless the model supports RGB frames of this size."""
    frame, model_size, patch = (
        (framing.height, framing.width),
        _pair(getattr(config, family.side)),
        _pair(config.patch_size),
    )
    if getattr(config, "num_channels", getattr(config, "in_chans", 3)) != 3:
        raise SolaError(f"{source}: does not accept RGB frames")
    if family.any_side:
        fits = frame[0] % patch[0] == 0 and frame[1] % patch[1] == 0
        expected = f"multiples of the patch size {patch[0]}×{patch[1]}"
    else:
        fits, expected = frame == model_size, f"{model_size[0]}×{model_size[1]}"
    if not fits:
        raise SolaError(
            f"{source}: the preprocessing produces frames of {frame[0]}×{frame[1]} pixels; the model expects {expected}"
        )


def _pair(size: Any) -> tuple[int, int]:
    """Return height and width from a pair or a single number."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)
