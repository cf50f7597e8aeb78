"""Tiny models with random weights, saved and loaded offline, compared with direct calls of `transformers`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sola.core.errors import SolaError
from sola.video.encoders.huggingface import HuggingFaceEncoder
from sola.video.encoders.huggingface_families import CLIP_COLORS, FAMILIES, IMAGENET, KINETICS
from sola.video.encoders.huggingface_folders import ModelFolder
from sola.video.encoders.huggingface_preprocessing import read_preprocessing
from sola.video.framing import Framing

pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Disable downloads and use an empty cache. Setting only the environment variables would be too late."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def videomae(**changes: Any) -> Any:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    return VideoMAEForVideoClassification(VideoMAEConfig(**SMALL | {"num_frames": 4, "num_labels": 3} | changes))


def timesformer() -> Any:
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    return TimesformerForVideoClassification(TimesformerConfig(**SMALL, num_frames=8, num_labels=3))


def vjepa2() -> Any:
    from transformers import VJEPA2Config, VJEPA2ForVideoClassification

    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    encoder = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "frames_per_clip": 8}
    return VJEPA2ForVideoClassification(VJEPA2Config(crop_size=32, num_pooler_layers=1, **encoder, **predictor))


def clip() -> Any:
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    return CLIPModel(CLIPConfig(vision_config=SMALL, text_config=text, projection_dim=8))


def dinov2() -> Any:
    from transformers import Dinov2Config, Dinov2ForImageClassification

    small = {key: value for key, value in SMALL.items() if key != "intermediate_size"}
    return Dinov2ForImageClassification(Dinov2Config(**small, num_labels=3))


MODELS: dict[str, Callable[[], Any]] = {
    "videomae": videomae,
    "timesformer": timesformer,
    "vjepa2": vjepa2,
    "clip": clip,
    "dinov2": dinov2,
}
COLORS = {"videomae": IMAGENET, "timesformer": KINETICS, "vjepa2": IMAGENET, "clip": CLIP_COLORS, "dinov2": IMAGENET}
DIM = {"videomae": 16, "timesformer": 16, "vjepa2": 24, "clip": 8, "dinov2": 16}


def saved(model: Any, folder: Path, preprocessing: dict[str, Any] | None = None, **changes: Any) -> str:
    """Write a model in evaluation mode, with weights far from their small initial values, and return its folder."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.eval().save_pretrained(folder)
    if preprocessing is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    if changes:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
    return str(folder)


def without(folder: Path, *beginnings: str) -> None:
    """Remove weights from a saved model."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith(beginnings)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def encoder_of(source: str, **settings: Any) -> HuggingFaceEncoder:
    return HuggingFaceEncoder(ModelFolder.find(source), CPU, **settings)


def some_frames(batch: int, window: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, window, side, side, 3), np.uint8)


def by_hand(frames: np.ndarray, image_mean: Any, image_std: Any) -> torch.Tensor:
    """Return scaled and normalized frames [batch, window, 3, height, width]."""
    values = (frames / 255 - np.array(image_mean)) / np.array(image_std)
    return torch.tensor(values.transpose(0, 1, 4, 2, 3), dtype=torch.float32)


def direct(kind: str, model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return features from direct calls of the complete models."""
    with torch.inference_mode():
        if kind == "videomae":
            model.classifier = torch.nn.Identity()
            return model(pixels).logits
        if kind == "timesformer":
            model.classifier = torch.nn.Identity()
            return model(pixels).logits
        if kind == "vjepa2":
            return model.vjepa2.get_vision_features(pixels).mean(1)
        if kind == "clip":
            return torch.stack([model.get_image_features(each).pooler_output.mean(0) for each in pixels])
        return torch.stack([model.dinov2(each).last_hidden_state[:, 0].mean(0) for each in pixels])


@pytest.mark.parametrize("kind", MODELS)
def test_features_equal_direct_model_calls(kind: str, tmp_path: Path) -> None:
    model = MODELS[kind]()
    encoder = encoder_of(saved(model, tmp_path), window=None if FAMILIES[kind].frames else 2)
    frames = some_frames(3, encoder.window)
    got = encoder(frames)
    assert got.shape == (3, encoder.dim) == (3, DIM[kind])
    assert got.std() > 0.05
    np.testing.assert_allclose(got, direct(kind, model, by_hand(frames, **COLORS[kind])), atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_feature_does_not_depend_on_batch_or_call_order(kind: str, tmp_path: Path) -> None:
    encoder = encoder_of(saved(MODELS[kind](), tmp_path))
    frames = some_frames(4, encoder.window)
    whole = encoder(frames)
    np.testing.assert_array_equal(encoder(frames), whole)
    np.testing.assert_allclose(np.concatenate([encoder(each[None]) for each in frames]), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "fps", "window", "stride"),
    [
        ("videomae", 2.0, 4, 1),
        ("timesformer", 4.0, 8, 1),
        ("vjepa2", 2.0, 8, 1),
        ("clip", 4.0, 1, 1),
        ("dinov2", 4.0, 1, 1),
    ],
)
def test_the_rate_window_and_stride_depend_on_the_model(
    kind: str, fps: float, window: int, stride: int, tmp_path: Path
) -> None:
    encoder = encoder_of(saved(MODELS[kind](), tmp_path))
    assert (encoder.fps, encoder.window, encoder.stride) == (fps, window, stride)


def test_videomae_windows_last_two_seconds_with_four_features_per_second(tmp_path: Path) -> None:
    encoder = encoder_of(saved(videomae(num_frames=16), tmp_path))
    assert (encoder.fps, encoder.window, encoder.stride) == (8.0, 16, 2)


def test_vjepa2_supports_other_windows(tmp_path: Path) -> None:
    model = vjepa2()
    encoder = encoder_of(saved(model, tmp_path), window=4)
    frames = some_frames(1, 4)
    np.testing.assert_allclose(encoder(frames), direct("vjepa2", model, by_hand(frames, **IMAGENET)), atol=1e-5)


def test_preprocessing_file_is_used(tmp_path: Path) -> None:
    model = timesformer()
    colors = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    sizes = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
    encoder = encoder_of(saved(model, tmp_path, colors | sizes | {"resample": 3}))
    assert encoder.framing == Framing(32, 32, 40, "bicubic")
    frames = some_frames(2, 8)
    np.testing.assert_allclose(encoder(frames), direct("timesformer", model, by_hand(frames, **colors)), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "framing"),
    [
        ("videomae", Framing(32, 32, 32, "bilinear")),
        ("timesformer", Framing(32, 32, 32, "bilinear")),
        ("vjepa2", Framing(32, 32, 36, "bilinear")),
        ("clip", Framing(32, 32, 32, "bicubic")),
        ("dinov2", Framing(32, 32, 36, "bicubic")),
    ],
)
def test_framing_without_a_file(kind: str, framing: Framing, tmp_path: Path) -> None:
    assert encoder_of(saved(MODELS[kind](), tmp_path)).framing == framing


DEFAULTS = {
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@pytest.mark.parametrize(
    ("settings", "framing"),
    [
        ({}, Framing(224, 224, 256)),
        ({"size": 300, "crop_size": 200}, Framing(200, 200, 300)),
        ({"size": {"height": 224, "width": 448}}, Framing(224, 448)),
        ({"size": {"height": 96, "width": 96}, "do_center_crop": False, "resample": 4}, Framing(96, 96, None, "area")),
        ({"size": {"height": 96, "width": 96}, "crop_size": 96, "resample": 1}, Framing(96, 96, None, "lanczos")),
        ({"size": {"shortest_edge": 230, "longest_edge": None}, "do_resize": None}, Framing(224, 224, 230)),
    ],
)
def test_framing_follows_the_sizes_of_the_preprocessor(
    settings: dict[str, Any], framing: Framing, tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    assert read_preprocessing(tmp_path, DEFAULTS).framing == framing


def test_scaling_and_normalization_can_be_disabled(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"do_rescale": false, "do_normalize": false}')
    got = read_preprocessing(tmp_path, DEFAULTS)
    assert (got.scale, got.mean, got.deviation) == (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_settings_in_processor_and_video_files(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"size": 301}')
    (tmp_path / "video_preprocessor_config.json").write_text('{"size": 302}')
    assert read_preprocessing(tmp_path, DEFAULTS).framing.short_side == 302
    (tmp_path / "processor_config.json").write_text('{"image_processor": {"size": 303}, "processor_class": "C"}')
    assert read_preprocessing(tmp_path, DEFAULTS).framing.short_side == 303


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"do_resize": False}, "do_resize is false"),
        ({"do_center_crop": False}, "without do_center_crop"),
        ({"size": {"longest_edge": 300}}, '"longest_edge": 300'),
        ({"size": {"height": 300, "width": 300}, "crop_size": 224}, "crop_size differs"),
        ({"size": "big"}, 'size "big"'),
        ({"size": 200}, "200"),
        ({"crop_size": {"height": 1.5, "width": 2}}, "crop_size"),
        ({"resample": 0}, "resample 0"),
        ({"do_pad": True}, "do_pad"),
        ({"image_std": [0, 1, 1]}, "image_std"),
        ({"image_mean": [0.5, 0.5]}, "image_mean"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
    ],
)
def test_unsupported_preprocessing_is_an_error(settings: dict[str, Any], fault: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(SolaError, match=r"preprocessor_config.json: .*" + fault) as error:
        read_preprocessing(tmp_path, DEFAULTS)
    assert "\n" not in str(error.value)


def refused(source: str, **settings: Any) -> str:
    """Return the one-line error for a source."""
    with pytest.raises(SolaError) as error:
        encoder_of(source, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("kind", "size"), [("videomae", 48), ("timesformer", 48), ("clip", 48), ("dinov2", 40)])
def test_unsupported_frame_size_is_an_error(kind: str, size: int, tmp_path: Path) -> None:
    assert f"{size}×{size}" in refused(saved(MODELS[kind](), tmp_path, {"size": 64, "crop_size": size}))


@pytest.mark.parametrize(("kind", "window"), [("videomae", 8), ("timesformer", 4), ("vjepa2", 3), ("clip", 0)])
def test_unsupported_window_is_an_error(kind: str, window: int, tmp_path: Path) -> None:
    assert f"a window of {window} frames" in refused(saved(MODELS[kind](), tmp_path), window=window)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("videomae", "videomae.encoder.layer.1."),
        ("timesformer", "timesformer.embeddings.time_embeddings"),
        ("vjepa2", "vjepa2.encoder.layernorm."),
        ("clip", "vision_model.post_layernorm."),
        ("dinov2", "dinov2.layernorm."),
    ],
)
def test_missing_weights_are_not_initialized_randomly(kind: str, name: str, tmp_path: Path) -> None:
    source = saved(MODELS[kind](), tmp_path)
    without(tmp_path, name)
    assert name.partition(".")[2].rstrip(".").split(".")[-1] in refused(source)


def test_weights_of_wrong_shape_are_not_initialized_randomly(tmp_path: Path) -> None:
    assert "the wrong shape: encoder.layer.0." in refused(saved(dinov2(), tmp_path, mlp_ratio=2))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("videomae", "classifier."), ("vjepa2", "vjepa2.predictor."), ("dinov2", "dinov2.embeddings.mask_token")],
)
def test_unused_weights_may_be_missing(kind: str, name: str, tmp_path: Path) -> None:
    source = saved(MODELS[kind](), tmp_path)
    before = encoder_of(source)
    without(tmp_path, name)
    after = encoder_of(source)
    frames = some_frames(1, before.window)
    np.testing.assert_array_equal(after(frames), before(frames))
    assert after.identity == before.identity


def test_pretrained_videomae_uses_the_mean_of_its_tokens(tmp_path: Path) -> None:
    from transformers import VideoMAEForPreTraining

    config = videomae(use_mean_pooling=False).config
    config.decoder_hidden_size, config.decoder_num_attention_heads, config.decoder_num_hidden_layers = 16, 2, 1
    model = VideoMAEForPreTraining(config)
    encoder = encoder_of(saved(model, tmp_path))
    frames = some_frames(2, 4)
    with torch.inference_mode():
        tokens = model.videomae(by_hand(frames, **IMAGENET)).last_hidden_state
    np.testing.assert_allclose(encoder(frames), tokens.mean(1), atol=1e-5)


def test_clip_without_projection_uses_its_pooled_output(tmp_path: Path) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    model = CLIPVisionModel(CLIPVisionConfig(**SMALL))
    encoder = encoder_of(saved(model, tmp_path))
    frames = some_frames(2, 1)
    with torch.inference_mode():
        pooled = model(by_hand(frames, **CLIP_COLORS)[:, 0]).pooler_output
    np.testing.assert_allclose(encoder(frames), pooled, atol=1e-5)
    assert encoder.dim == 16


def test_identity_depends_on_weights_config_preprocessing_and_window(tmp_path: Path) -> None:
    source = saved(vjepa2(), tmp_path / "a")
    identity = encoder_of(source).identity
    assert encoder_of(source).identity == identity
    others = [encoder_of(source, window=4).identity]
    (tmp_path / "a" / "video_preprocessor_config.json").write_text('{"image_mean": 0.5}')
    others.append(encoder_of(source).identity)
    (tmp_path / "a" / "video_preprocessor_config.json").unlink()
    torch.manual_seed(1)
    others.append(encoder_of(saved(vjepa2(), tmp_path / "b")).identity)
    others.append(encoder_of(saved(vjepa2(), tmp_path / "a", hidden_act="relu")).identity)
    assert len({identity, *others}) == 5


@pytest.mark.parametrize(
    ("card", "license"),
    [
        ("---\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0"),
        ("---\nlicense: [mit, cc-by-4.0]\n---\n", "mit, cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: a-license\n---\n", "a-license"),
        ("---\nlicense: [\n---\n", "unknown"),
        ("# A model\n", "unknown"),
    ],
)
def test_license_is_read_from_the_model_card(card: str, license: str, tmp_path: Path) -> None:
    source = saved(dinov2(), tmp_path / "model")
    encoder = encoder_of(source)
    assert (encoder.name, encoder.license) == ("model", "unknown")
    (tmp_path / "model" / "README.md").write_text(card)
    assert encoder_of(source).license == license


def test_loading_is_silent_and_restores_logging(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    source, before = saved(clip(), tmp_path), logging.get_verbosity()
    capfd.readouterr()
    encoder_of(source)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (before, True)


def test_cached_hub_model_is_found_by_id(tmp_path: Path) -> None:
    repository = tmp_path / "cache" / "models--owner--name"
    local = encoder_of(saved(clip(), repository / "snapshots" / "0123"))
    for revision in ("main", "fine"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / revision).write_text("0123")
    by_id = encoder_of("owner/name")
    assert (by_id.name, by_id.identity) == ("owner/name", local.identity)
    assert encoder_of("owner/name@fine").name == "owner/name@fine"


def test_failed_download_is_an_error() -> None:
    assert "owner/none: no such folder, and downloading it" in refused("owner/none")


@pytest.mark.parametrize("source", ["nowhere", "/no/where/at/all", "../no", "a/b/c"])
def test_source_that_is_neither_folder_nor_id_is_an_error(source: str) -> None:
    assert "no such folder; expected a folder with config.json" in refused(source)


def test_folder_without_model_is_an_error(tmp_path: Path) -> None:
    assert "no config.json" in refused(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    assert "no model.safetensors, and pickled weights are not loaded" in refused(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    assert "transformers cannot load the model" in refused(str(tmp_path))
    for record in ('{"model_type": "bert"}', "{}", "[]", '{"model_type": ["clip"]}'):
        (tmp_path / "config.json").write_text(record)
        assert "expected one of videomae, timesformer, vjepa2, clip, clip_vision_model, dinov2" in refused(
            str(tmp_path)
        )


@pytest.mark.parametrize("changes", [{"hidden_size": "wide"}, {"num_attention_heads": 3}, {"patch_size": 0}])
def test_invalid_config_is_an_error(changes: dict[str, Any], tmp_path: Path) -> None:
    assert "transformers cannot load the model" in refused(saved(videomae(), tmp_path, **changes))


def test_missing_transformers_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(dinov2(), tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install -c constraints.txt 'sola-tal[video]'" in refused(source)
