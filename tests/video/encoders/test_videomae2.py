"""VideoMAE V2 with random weights in the published layouts, compared with a plain definition."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.calling import sola
from support.rendering import render
from support.vision_programs import vision_program
from support.weights import noise, randomized
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.core.files import write_json
from sola.data.manifest import Manifest
from sola.video.decoding import shown_frames
from sola.video.encoders.base import Encoder
from sola.video.encoders.loading import load_encoder
from sola.video.encoders.videomae2 import VideoMAE2Encoder
from sola.video.snippets import windows

pytest.importorskip("transformers")

CPU = torch.device("cpu")
Weights = dict[str, torch.Tensor]


def weights_of(width: int = 384, blocks: int = 2, hidden: int = 96, patch: int = 16, classes: int = 5) -> Weights:
    """Return random weights under the authors' names, with the classifier."""
    shapes = {
        "patch_embed.proj.weight": (width, 3, 2, patch, patch),
        "patch_embed.proj.bias": (width,),
        "fc_norm.weight": (width,),
        "fc_norm.bias": (width,),
        "head.weight": (classes, width),
        "head.bias": (classes,),
    }
    for block in range(blocks):
        inside = {
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "attn.q_bias": (width,),
            "attn.v_bias": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
            "mlp.fc1.weight": (hidden, width),
            "mlp.fc1.bias": (hidden,),
            "mlp.fc2.weight": (width, hidden),
            "mlp.fc2.bias": (width,),
        }
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in inside.items()}
    return {
        name: noise(*shape, seed=seed) * (1.5 / np.prod(shape[1:]) ** 0.5 if len(shape) > 1 else 0.3)
        + ("norm" in name and "weight" in name)
        for seed, (name, shape) in enumerate(shapes.items())
    }


def by_definition(weights: Weights, frames: np.ndarray, heads: int = 6) -> torch.Tensor:
    """Map frames [batch, 16, 224, 224, 3] to features [batch, channels] in double precision."""
    w = {name: weight.double() for name, weight in weights.items()}
    width, patch = len(w["fc_norm.weight"]), w["patch_embed.proj.weight"].shape[-1]
    video = torch.tensor(frames / 255).permute(0, 4, 1, 2, 3)
    x = F.conv3d(video, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=(2, patch, patch))
    x = x.flatten(2).transpose(1, 2)
    angle = torch.arange(x.shape[1])[:, None] / 10000 ** (torch.arange(width).double() // 2 * 2 / width)
    x = x + torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    for block in range(sum(name.endswith("norm1.bias") for name in w)):
        own = f"blocks.{block}"
        bias = torch.cat([w[f"{own}.attn.q_bias"], torch.zeros(width), w[f"{own}.attn.v_bias"]])
        qkv = norm(x, f"{own}.norm1") @ w[f"{own}.attn.qkv.weight"].T + bias
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        seen = (q @ k.transpose(-2, -1) / (width // heads) ** 0.5).softmax(-1) @ v
        x = x + F.linear(seen.transpose(1, 2).flatten(2), w[f"{own}.attn.proj.weight"], w[f"{own}.attn.proj.bias"])
        inner = F.gelu(F.linear(norm(x, f"{own}.norm2"), w[f"{own}.mlp.fc1.weight"], w[f"{own}.mlp.fc1.bias"]))
        x = x + F.linear(inner, w[f"{own}.mlp.fc2.weight"], w[f"{own}.mlp.fc2.bias"])
    return norm(x.mean(1), "fc_norm")


def some_frames(batch: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, 16, 224, 224, 3), np.uint8)


def checkpoint(path: Path, weights: Weights, entry: str | None = "module") -> str:
    torch.save({entry: weights} if entry else weights, path)
    return str(path)


def hub_folder(path: Path, weights: Weights, *, prefix: str = "model.", files: int = 1, **settings: Any) -> str:
    """Write a folder as on the hub, without the code."""
    path.mkdir(parents=True)
    model = {"img_size": 224, "patch_size": 16, "num_classes": 0, "num_frames": 16, "layer_norm_eps": 1e-6}
    model |= {"cos_attn": False, "use_mean_pooling": True, "use_learnable_pos_emb": False}
    config = {"model_type": "VideoMAEv2_Base", "architectures": ["VideoMAEv2_Base"], "model_config": model | settings}
    write_json(path / "config.json", config)
    (path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    named = {prefix + name: weight for name, weight in weights.items() if not name.startswith("head.")}
    names = ["model.safetensors"] if files == 1 else [f"model-{n}-of-{files}.safetensors" for n in range(files)]
    for number, name in enumerate(names):
        save_file({key: named[key] for key in sorted(named)[number::files]}, path / name)
    if files > 1:
        write_json(path / "model.safetensors.index.json", {})
    return str(path)


@pytest.mark.parametrize(("width", "heads", "patch", "blocks"), [(384, 6, 16, 2), (1408, 16, 14, 1)])
def test_features_equal_the_definition(width: int, heads: int, patch: int, blocks: int, tmp_path: Path) -> None:
    weights, frames = weights_of(width, blocks, 96, patch), some_frames(1)
    encoder = load_encoder(checkpoint(tmp_path / "vit.pth", weights), CPU)
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.dim, encoder.license) == ("vit", width, "unknown")
    got = encoder(frames)
    assert got.std() > 0.5
    np.testing.assert_allclose(got, by_definition(weights, frames, heads), atol=1e-5)


def test_a_feature_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    encoder, frames = load_encoder(checkpoint(tmp_path / "vit.pth", weights_of(blocks=1)), CPU), some_frames(3)
    np.testing.assert_allclose(np.concatenate([encoder(one[None]) for one in frames]), encoder(frames), atol=1e-5)


def test_equal_weights_in_all_layouts_give_the_same_encoder(tmp_path: Path) -> None:
    weights, frames = weights_of(blocks=1), some_frames(1)
    sources = [checkpoint(tmp_path / f"{entry}.pth", weights, entry) for entry in ("module", "model", None)]
    sources += [
        hub_folder(tmp_path / "hub", weights),
        hub_folder(tmp_path / "bare", weights, prefix=""),
        hub_folder(tmp_path / "several", weights, files=3),
    ]
    encoders = [load_encoder(source, CPU) for source in sources]
    assert len({encoder.identity for encoder in encoders}) == 1
    for encoder in encoders:
        np.testing.assert_array_equal(encoder(frames), encoders[0](frames))
    assert (encoders[3].name, encoders[3].license) == ("hub", "cc-by-nc-4.0")


def test_other_weights_give_another_encoder(tmp_path: Path) -> None:
    weights = weights_of(blocks=1)
    one = load_encoder(checkpoint(tmp_path / "one.pth", weights), CPU)
    weights["fc_norm.bias"][0] += 1
    assert load_encoder(checkpoint(tmp_path / "two.pth", weights), CPU).identity != one.identity


def test_half_precision_weights_are_used_in_single_precision(tmp_path: Path) -> None:
    weights, frames = {name: weight.half() for name, weight in weights_of(blocks=1).items()}, some_frames(1)
    encoder = load_encoder(checkpoint(tmp_path / "half.pth", weights), CPU)
    np.testing.assert_allclose(encoder(frames), by_definition(weights, frames), atol=1e-5)


def test_hub_id_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--OpenGVLab--VideoMAEv2-Base"
    hub_folder(repository / "snapshots" / "0123", weights_of(blocks=1))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    encoder = load_encoder("OpenGVLab/VideoMAEv2-Base", CPU)
    assert isinstance(encoder, VideoMAE2Encoder)
    assert (encoder.name, encoder.license) == ("OpenGVLab/VideoMAEv2-Base", "cc-by-nc-4.0")


@pytest.mark.parametrize("frames", [16, 17, 19, 20, 100, 101, 102, 103, 1234])
@pytest.mark.parametrize("stride", [4, 16])
def test_windows_start_like_those_of_the_published_features(frames: int, stride: int) -> None:
    """Windows start at `range(0, frames - 15, stride)`, as for THUMOS14 (4) and FineAction (16), then pass the end."""
    numbered = (np.full((1, 1, 3), number, np.int16) for number in range(frames))
    found = windows(numbered, VideoMAE2Encoder.window, stride, offset=VideoMAE2Encoder.offset)
    taken = [[int(frame[0, 0, 0]) for frame in window] for window in found]
    published = [list(range(begin, begin + 16)) for begin in range(0, frames - 15, stride)]
    assert taken[: len(published)] == published
    assert all(window[-1] == window[-2] == frames - 1 for window in taken[len(published) :])
    assert len(taken) <= len(published) + 16 / stride


def test_extract_command(tmp_path: Path) -> None:
    """A video at 30 frames per second has the published windows at the published times, and three more."""
    path = render(tmp_path / "a.mp4", count=40, rate=30)
    source = checkpoint(tmp_path / "vit.pth", weights_of(blocks=1))
    assert sola("extract", str(path), "--encoder", source, "--out", str(tmp_path / "f"), "--dtype", "float32") == 0
    got = np.load(tmp_path / "f" / "a.npy")
    shown = np.array([VideoMAE2Encoder.framing(one.frame) for one in shown_frames(path)])
    published = np.array([shown[begin : begin + 16] for begin in range(0, 40 - 15, 4)])
    assert got.shape == (10, 384)
    np.testing.assert_allclose(got[:7], load_encoder(source, CPU)(published), atol=1e-5)
    manifest = Manifest.read(tmp_path / "f")
    assert manifest.timing() == {"fps": 30.0, "stride": 4.0, "window": 16.0, "offset": 0.0}
    assert (manifest.encoder, manifest.dim) == ("vit", 384)


def refused(source: str, window: int | None = None) -> str:
    with pytest.raises(SolaError) as error:
        load_encoder(source, CPU, window=window)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_error_names_a_pretraining_checkpoint(tmp_path: Path) -> None:
    encoder = {f"encoder.{name}": weight for name, weight in weights_of(blocks=1).items()}
    others = {"mask_token": torch.zeros(1, 1, 4), "encoder_to_decoder.weight": torch.zeros(4, 384)}
    message = refused(checkpoint(tmp_path / "pt.pth", encoder | others, "model"))
    assert "pt.pth: a pretraining checkpoint" in message
    assert "vit_b_k710_dl_from_giant.pth" in message


Change = Callable[[Weights], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("fc_norm.bias"), "lacks fc_norm.bias"),
        (lambda w: w.pop("blocks.0.attn.q_bias"), "lacks blocks.0.attn.q_bias"),
        (lambda w: [w.pop(name) for name in list(w) if name.startswith("blocks.")], "lacks blocks.0.attn.proj.bias"),
        (lambda w: w.update({"blocks.0.attn.scale": torch.ones(6, 1, 1)}), "has the unexpected blocks.0.attn.scale"),
        (lambda w: w.update({"patch_embed.proj.weight": torch.ones(384, 3, 2, 8, 8)}), r"2, 8, 8\].*2×16×16"),
        (lambda w: w.update({"patch_embed.proj.weight": torch.ones(())}), r"weight is \[\]"),
        (lambda w: w.update({"blocks.0.mlp.fc1.weight": torch.ones(())}), r"fc1.weight \[\]"),
        (
            lambda w: w.update({"blocks.0.attn.qkv.weight": torch.ones(2, 384)}),
            r"is \[2, 384\]; expected \[1152, 384\]",
        ),
        (lambda w: w.update({"blocks.0.mlp.fc2.weight": torch.ones(384, 95)}), "encoder.layer.0.output.dense.weight"),
        (lambda w: w.update({"fc_norm.bias": torch.ones(383)}), r"fc_norm.bias is \[383\]"),
    ],
)
def test_other_weights_are_rejected(change: Change, words: str, tmp_path: Path) -> None:
    weights = weights_of(blocks=1)
    change(weights)
    source = checkpoint(tmp_path / "vit.pth", weights)
    with pytest.raises(SolaError, match=words):
        load_encoder(source, CPU)
    assert refused(source).startswith(source)


def test_network_of_another_width_is_an_error(tmp_path: Path) -> None:
    message = refused(checkpoint(tmp_path / "vit.pth", weights_of(width=192, blocks=1)))
    assert "patch_embed.proj.weight is [192, 3, 2, 16, 16]" in message
    assert "expected VideoMAE V2 with 384, 768, 1024, 1280, 1408 channels" in message


def test_other_files_are_rejected(tmp_path: Path) -> None:
    assert "gone.pth: cannot be read (No such file or directory)" in refused(str(tmp_path / "gone.pth"))
    (tmp_path / "text.pth").write_text("no checkpoint")
    assert "not a PyTorch checkpoint" in refused(str(tmp_path / "text.pth"))
    assert "a window of 8 frames; expected 16" in refused(
        checkpoint(tmp_path / "vit.pth", weights_of(blocks=1)), window=8
    )


def test_other_folders_are_rejected(tmp_path: Path) -> None:
    large = hub_folder(tmp_path / "large", weights_of(blocks=1), img_size=384)
    assert "config.json: img_size 384 is not supported; expected 224" in refused(large)
    broken = hub_folder(tmp_path / "broken", weights_of(blocks=1))
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no tensors")
    assert "model.safetensors: cannot be read" in refused(broken)


LONG = pytest.mark.skipif(not os.environ.get("SOLA_LONG"), reason="takes long and 5 GB: set SOLA_LONG=1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "size",
    ["small_patch16", "base_patch16", "giant of two blocks", pytest.param("giant_patch14", marks=LONG)],
)
def test_features_equal_the_authors_network(size: str, tmp_path: Path) -> None:
    """Compare with the call in `extract_tad_feature.py`."""
    settings = {"num_classes": 710, "all_frames": 16, "tubelet_size": 2, "use_mean_pooling": True}
    frames = some_frames(1)
    with vision_program("SOLA_VIDEOMAE2_REFERENCE", "models/modeling_finetune.py") as program:
        if size == "giant of two blocks":
            settings |= {"patch_size": 14, "embed_dim": 1408, "depth": 2, "num_heads": 16, "mlp_ratio": 48 / 11}
            norm = partial(torch.nn.LayerNorm, eps=1e-6)
            network = program.VisionTransformer(qkv_bias=True, norm_layer=norm, **settings)
        else:
            network = getattr(program, f"vit_{size}_224")(**settings)
        network = randomized(network)
        with torch.inference_mode():
            expected = network.forward_features(torch.tensor(frames).permute(0, 4, 1, 2, 3).float() / 255).numpy()
        source = checkpoint(tmp_path / "vit.pth", network.state_dict())
        del network
    got = load_encoder(source, CPU)(frames)
    assert got.std() > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-4)
