"""Supported families of `transformers` models and their features.

| family | feature | source |
|---|---|---|
| VideoMAE | mean of the tokens, followed by the classifier's `fc_norm` if the checkpoint has it | `forward_features` of the authors' `modeling_finetune.py` |
| TimeSformer | class token after the norm | input of its classifier (Bertasius et al., ICML 2021, section 3) |
| V-JEPA 2 | mean of the encoder tokens, without predictor and attentive pooler | Assran et al., 2025; the pooler is task-specific |
| CLIP | projected image embedding, not normalized | embedding compared with text in training (Radford et al., ICML 2021) |
| DINOv2 | class token after the norm | input of its linear evaluation (Oquab et al., 2023) |

VideoMAE has no class token, so the feature is the mean of the tokens even if `use_mean_pooling` is false. For a CLIP
checkpoint without a projection, the feature is the pooled output.
"""  # noqa: E501 (a table)

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class VideoTower(nn.Module):
    """Video encoder with the mean or first token as feature, followed by a norm if the model has one."""

    def __init__(self, encoder: Any, *, norm: nn.Module | None = None, first: bool = False) -> None:
        super().__init__()
        self.encoder, self.norm, self.first = encoder, norm or nn.Identity(), first
        self.dim = int(encoder.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature per window."""
        tokens: Tensor = self.encoder(frames).last_hidden_state
        pooled: Tensor = self.norm(tokens[:, 0] if self.first else tokens.mean(1))
        return pooled


class ImageTower(nn.Module):
    """Image encoder with the mean pooled output over frames as feature, projected if the model has a projection."""

    def __init__(self, encoder: Any, projection: nn.Linear | None = None) -> None:
        super().__init__()
        self.encoder, self.projection = encoder, projection or nn.Identity()
        self.dim = int(encoder.config.hidden_size) if projection is None else projection.out_features

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature per window."""
        pooled: Tensor = self.projection(self.encoder(frames.flatten(0, 1)).pooler_output)
        return pooled.view(*frames.shape[:2], -1).mean(1)


def _videomae(model: Any, missing: set[str]) -> VideoTower:
    return VideoTower(model.videomae, norm=None if "fc_norm.weight" in missing else model.fc_norm)


def _clip(model: Any, missing: set[str]) -> ImageTower:
    projected = "visual_projection.weight" not in missing
    return ImageTower(model.vision_model, model.visual_projection if projected else None)


def _dinov2(model: Any, missing: set[str]) -> ImageTower:
    model.embeddings.mask_token = None  # used only in training, and missing in some checkpoints
    return ImageTower(model)


IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
KINETICS = {"image_mean": (0.45,) * 3, "image_std": (0.225,) * 3}
CLIP_COLORS = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
BILINEAR, BICUBIC = 2, 3
"""PIL interpolation codes."""


@dataclass(frozen=True)
class Family:
    """A model family, with defaults for missing checkpoint settings."""

    architecture: str
    """`transformers` class that loads the checkpoints."""
    tower: Callable[[Any, set[str]], VideoTower | ImageTower]
    """Function that builds the feature network from the model and the names of missing weights."""
    optional: tuple[str, ...]
    """Prefixes of weights that the feature network does not need."""
    colors: Mapping[str, Any]
    """Default color mean and standard deviation."""
    resample: int
    """Default interpolation, as a PIL code."""
    margin: float = 1.0
    """Default ratio of the shorter frame side to the crop side."""
    side: str = "image_size"
    """Key of the frame size in the config."""
    shown: int | None = None
    """Default frame side (pixels), if the config has the size of the last training phase instead."""
    frames: str | None = None
    """Key of the window length in the config, or None for an image encoder."""
    seconds: float = 2.0
    """Default window length (seconds), unless it needs more than HIGHEST_FPS."""
    any_window: bool = False
    """Whether the window may be any multiple of `tubelet_size` (rotary position embedding)."""
    any_side: bool = False
    """Whether frame sides may be any multiple of the patch size (interpolated position embedding)."""


IMAGE_CLIP = Family("CLIPVisionModelWithProjection", _clip, ("visual_projection.",), CLIP_COLORS, BICUBIC)
FAMILIES = {
    "videomae": Family(
        "VideoMAEForVideoClassification",
        _videomae,
        ("fc_norm.", "classifier."),
        IMAGENET,
        BILINEAR,
        frames="num_frames",
    ),
    "timesformer": Family(
        "TimesformerModel",
        lambda model, missing: VideoTower(model, first=True),
        (),
        KINETICS,
        BILINEAR,
        frames="num_frames",
    ),
    "vjepa2": Family(
        "VJEPA2Model",
        lambda model, missing: VideoTower(model.encoder),
        ("predictor.",),
        IMAGENET,
        BILINEAR,
        256 / 224,
        side="crop_size",
        frames="frames_per_clip",
        seconds=4.0,
        any_window=True,
    ),
    "clip": IMAGE_CLIP,
    "clip_vision_model": IMAGE_CLIP,
    "dinov2": Family(
        "Dinov2Model", _dinov2, ("embeddings.mask_token",), IMAGENET, BICUBIC, 256 / 224, shown=224, any_side=True
    ),
}
"""Families by the `model_type` in config.json."""
