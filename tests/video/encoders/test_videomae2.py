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
from support.encoder_checkpoints import CPU, checkpoint, refused, some_frames
from support.videomae2 import Weights, by_definition, weights_of
from support.vision_programs import vision_program
from support.weights import randomized

from sola.core.errors import SolaError
from sola.core.files import write_json
from sola.video.encoders.base import Encoder
from sola.video.encoders.loading import load_encoder
from sola.video.encoders.videomae2 import VideoMAE2Encoder
from sola.video.snippets import windows

pytest.importorskip("transformers")


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
