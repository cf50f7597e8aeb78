"""The families of models that `transformers` reads, and what of each makes a feature.

| family | a feature is | source |
|---|---|---|
| VideoMAE | the mean of the tokens, then the classifier's `fc_norm` where the checkpoint has one | `forward_features` of the authors' `modeling_finetune.py` |
| TimeSformer | the class token, normed | what its classifier reads (Bertasius et al., ICML 2021, section 3) |
| V-JEPA 2 | the mean of the encoder's tokens; no predictor, no attentive pooler | Assran et al., 2025; the pooler belongs to a task |
| CLIP | the projected image embedding, not normalized | what it was trained to compare with text (Radford et al., ICML 2021) |
| DINOv2 | the class token, normed | what its linear evaluation reads (Oquab et al., 2023) |

VideoMAE has no class token. Where `use_mean_pooling` is false, as in its pre-trained checkpoints, `transformers` would
read the first patch; here it is the mean all the same. A CLIP checkpoint without projection gives its pooled output.
"""  # noqa: E501 (a table)

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class VideoMAE(nn.Module):
    """The mean of VideoMAE's tokens, through the classifier's norm where there is one."""

    def __init__(self, model: Any, lacking: set[str]) -> None:
        super().__init__()
        self.encoder = model.videomae
        has_norm = model.fc_norm is not None and "fc_norm.weight" not in lacking
        self.norm = model.fc_norm if has_norm else nn.Identity()
        self.dim = int(model.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature a window."""
        tokens: Tensor = self.encoder(frames).last_hidden_state
        pooled: Tensor = self.norm(tokens.mean(1))
        return pooled


class TimeSformer(nn.Module):
    """TimeSformer's class token."""

    def __init__(self, model: Any, lacking: set[str]) -> None:
        super().__init__()
        self.encoder = model
        self.dim = int(model.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature a window."""
        tokens: Tensor = self.encoder(frames).last_hidden_state
        return tokens[:, 0]


class VJEPA2(nn.Module):
    """The mean of the tokens of V-JEPA 2's encoder."""

    def __init__(self, model: Any, lacking: set[str]) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.dim = int(model.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature a window."""
        tokens: Tensor = self.encoder(frames).last_hidden_state
        return tokens.mean(1)


class CLIP(nn.Module):
    """The mean over its frames of CLIP's image embedding."""

    def __init__(self, model: Any, lacking: set[str]) -> None:
        super().__init__()
        self.encoder = model.vision_model
        projected = "visual_projection.weight" not in lacking
        self.projection = model.visual_projection if projected else nn.Identity()
        self.dim = int(model.config.projection_dim if projected else model.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature a window."""
        pooled: Tensor = self.projection(self.encoder(frames.flatten(0, 1)).pooler_output)
        return pooled.view(*frames.shape[:2], -1).mean(1)


class DINOv2(nn.Module):
    """The mean over its frames of DINOv2's class token."""

    def __init__(self, model: Any, lacking: set[str]) -> None:
        super().__init__()
        self.encoder = model
        self.encoder.embeddings.mask_token = None  # for training; not every checkpoint has it
        self.dim = int(model.config.hidden_size)

    def forward(self, frames: Float[Tensor, "batch window 3 height width"]) -> Float[Tensor, "batch channels"]:
        """Return one feature a window."""
        pooled: Tensor = self.encoder(frames.flatten(0, 1)).pooler_output
        return pooled.view(*frames.shape[:2], -1).mean(1)


IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
KINETICS = {"image_mean": (0.45,) * 3, "image_std": (0.225,) * 3}
CLIPS_OWN = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
BILINEAR, BICUBIC = 2, 3
"""As PIL counts."""


@dataclass(frozen=True)
class Family:
    """What is to be known of a kind of model before it is loaded."""

    architecture: str
    """The class of `transformers` that reads its checkpoints."""
    tower: Callable[[Any, set[str]], nn.Module]
    """What is made of that class and the names of the weights that the checkpoint lacks."""
    optional: tuple[str, ...]
    """Beginnings of the names of weights that `tower` can do without."""
    colors: Mapping[str, Any]
    """Mean and deviation that it was trained with, for a checkpoint that does not say."""
    resample: int
    margin: float = 1.0
    """The shorter side over the side that is cut out, for a checkpoint that does not say."""
    side: str = "image_size"
    """The config's name for the sides of a frame."""
    shown: int | None = None
    """Its frames' side in practice, where the config's is that of its last training."""
    frames: str | None = None
    """The config's name for the frames of a window; None: an image encoder."""
    seconds: float = 2.0
    """How long a window is by default, unless that takes more than HIGHEST_FPS."""


CLIP_FAMILY = Family("CLIPVisionModelWithProjection", CLIP, ("visual_projection.",), CLIPS_OWN, BICUBIC)
FAMILIES = {
    "videomae": Family(
        "VideoMAEForVideoClassification", VideoMAE, ("fc_norm.", "classifier."), IMAGENET, BILINEAR, frames="num_frames"
    ),
    "timesformer": Family("TimesformerModel", TimeSformer, (), KINETICS, BILINEAR, frames="num_frames"),
    "vjepa2": Family(
        "VJEPA2Model",
        VJEPA2,
        ("predictor.",),
        IMAGENET,
        BILINEAR,
        256 / 224,
        side="crop_size",
        frames="frames_per_clip",
        seconds=4.0,
    ),
    "clip": CLIP_FAMILY,
    "clip_vision_model": CLIP_FAMILY,
    "dinov2": Family("Dinov2Model", DINOv2, ("embeddings.mask_token",), IMAGENET, BICUBIC, 256 / 224, shown=224),
}
"""By the `model_type` of config.json."""
