"""Frozen encoders of the Hugging Face hub that `transformers` has, in float32."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from sola.core.errors import SolaError
from sola.video.encoders.huggingface_families import FAMILIES, Family
from sola.video.encoders.huggingface_folders import ModelFolder
from sola.video.encoders.huggingface_preprocessing import read_preprocessing
from sola.video.encoders.transformers_models import LOADING, check_loaded, digest, loading, transformers_class, unloaded
from sola.video.framing import Framing

FEATURES_PER_SECOND = 4
HIGHEST_FPS = 8.0
"""Highest default: VideoMAE was trained on 30/4 frames per second, TimeSformer on 30/32 to 30/4, V-JEPA 2 on 4."""

IRRELEVANT = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
"""Keys of config.json that do not change features."""


class HuggingFaceEncoder:
    """A frozen video or image encoder of `transformers`, as an `Encoder`.

    By default it gives 4 features per second. A window of VideoMAE and TimeSformer takes 2 seconds, one of V-JEPA 2
    takes 4, and an image encoder sees single frames. At more than 8 frames per second, windows are longer instead.

    Args:
        model: folder of the model.
        device: device of the model.
        window: frames per snippet. VideoMAE and TimeSformer only take their own; the feature of an image encoder is
            the mean over the frames.

    Raises:
        SolaError: if the model is not supported or lacks weights; if its preprocessing is not supported; if
            `transformers` is not installed.
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
        """Return one feature for each window of frames."""
        pixels = torch.tensor(frames).to(self.device).permute(0, 1, 4, 2, 3).float()
        pixels = (pixels * self.preprocessing.scale - self._mean) / self._deviation
        features: np.ndarray = self._tower(pixels).float().cpu().numpy()
        return features


def _load(model: ModelFolder, family: Family) -> tuple[Any, Any]:
    """Return the tower of a model in evaluation mode, and the config. Weights that are missing are an error."""
    architecture = transformers_class(family.architecture)
    with loading(model.path):
        config = architecture.config_class.from_pretrained(model.path, local_files_only=True)
        if "vision_config" in model.config:  # the width of CLIP's projection is in the config of the whole model
            config.projection_dim = model.config.get("projection_dim", config.projection_dim)
        network, report = architecture.from_pretrained(model.path, config=config, **LOADING)
    missing = unloaded(report)
    check_loaded(model.path, {key for key in missing if not key.startswith(family.optional)})
    return family.tower(network, missing).eval().requires_grad_(False), network.config


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
