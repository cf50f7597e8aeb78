"""Supported families of `transformers` models, and the feature that each gives.

| family | a feature is | source |
|---|---|---|
| VideoMAE | the mean of the tokens, then the classifier's `fc_norm` where the checkpoint has one | `forward_features` of the authors' `modeling_finetune.py` |
| TimeSformer | the class token, normed | what its classifier reads (Bertasius et al., ICML 2021, section 3) |
| V-JEPA 2 | the mean of the encoder's tokens; no predictor, no attentive pooler | Assran et al., 2025; the pooler belongs to a task |
| CLIP | the projected image embedding, not normalized | what it was trained to compare with text (Radford et al., ICML 2021) |
| DINOv2 | the class token, normed | what its linear evaluation reads (Oquab et al., 2023) |

VideoMAE has no class token: the feature is the mean of the tokens even where `use_mean_pooling` is false. A CLIP
checkpoint without a projection gives its pooled output.
"""  # noqa: E501 (a table)

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class VideoTower(nn.Module):
    """A video encoder: the mean (or the first) of its tokens, normalized where the model has a norm."""

    def __init__(self, encoder: Any, *, norm: nn.Module | None = None, first: bool = False) -> None:
        super().__init__()
        self.encoder, self.norm, self.first = encoder, norm or nn.Identity(), first
        self.dim = int(encoder.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature for each window."""
        tokens: Tensor = self.encoder(frames).last_hidden_state
        pooled: Tensor = self.norm(tokens[:, 0] if self.first else tokens.mean(1))
        return pooled


class ImageTower(nn.Module):
    """An image encoder: the mean over frames of its pooled output, projected where the model has a projection."""

    def __init__(self, encoder: Any, projection: nn.Linear | None = None) -> None:
        super().__init__()
        self.encoder, self.projection = encoder, projection or nn.Identity()
        self.dim = int(encoder.config.hidden_size) if projection is None else projection.out_features

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature for each window."""
        pooled: Tensor = self.projection(self.encoder(frames.flatten(0, 1)).pooler_output)
        return pooled.view(*frames.shape[:2], -1).mean(1)


def _videomae(model: Any, missing: set[str]) -> VideoTower:
    return VideoTower(model.videomae, norm=None if "fc_norm.weight" in missing else model.fc_norm)


def _clip(model: Any, missing: set[str]) -> ImageTower:
    projected = "visual_projection.weight" not in missing
    return ImageTower(model.vision_model, model.visual_projection if projected else None)


def _dinov2(model: Any, missing: set[str]) -> ImageTower:
    model.embeddings.mask_token = None  # for training; not every checkpoint has it
    return ImageTower(model)


IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
KINETICS = {"image_mean": (0.45,) * 3, "image_std": (0.225,) * 3}
CLIPS_OWN = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
BILINEAR, BICUBIC = 2, 3
"""Numbers of PIL."""


@dataclass(frozen=True)
class Family:
    """A kind of model, with defaults for what a checkpoint does not state."""

    architecture: str
    """Class of `transformers` that loads the checkpoints."""
    tower: Callable[[Any, set[str]], VideoTower | ImageTower]
    """Builds the feature network from the model and the names of missing weights."""
    optional: tuple[str, ...]
    """Prefixes of weights that the tower does not need."""
    colors: Mapping[str, Any]
    """Default mean and standard deviation of colors."""
    resample: int
    """Default interpolation, as a number of PIL."""
    margin: float = 1.0
    """Default ratio of the shorter side of the frame to the side of the crop."""
    side: str = "image_size"
    """Key of the frame size in the config."""
    shown: int | None = None
    """Default side of frames, where the config states that of the last training phase (pixels)."""
    frames: str | None = None
    """Key of the window length in the config; None for an image encoder."""
    seconds: float = 2.0
    """Default length of a window (seconds), unless that takes more than HIGHEST_FPS."""
    any_window: bool = False
    """Whether the window may be any multiple of `tubelet_size` (rotary positions)."""
    any_side: bool = False
    """Whether the sides of a frame may be any multiple of the patch size (interpolated positions)."""


IMAGE_CLIP = Family("CLIPVisionModelWithProjection", _clip, ("visual_projection.",), CLIPS_OWN, BICUBIC)
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
