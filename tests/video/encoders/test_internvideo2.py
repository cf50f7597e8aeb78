"""InternVideo2 with random weights in the published layouts, compared with a plain definition."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.encoder_checkpoints import CPU, checkpoint, refused, some_frames
from support.internvideo2 import DEVIATION, MEAN, Weights, by_definition, weights_of
from support.vision_programs import stand_in, vision_program
from support.weights import noise, randomized

from sola.core.errors import SolaError
from sola.core.files import write_json
from sola.video.encoders.base import Encoder
from sola.video.encoders.internvideo2 import InternVideo2Encoder
from sola.video.encoders.loading import load_encoder


def hub_folder(path: Path, weights: Weights, *, prefix: str = "model.", **config: Any) -> str:
    path.mkdir(parents=True)
    write_json(path / "config.json", {"model_type": "internvideo2", "architectures": ["InternVideo2"]} | config)
    (path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    save_file({prefix + name: weight for name, weight in weights.items()}, path / "model.safetensors")
    return str(path)


@pytest.mark.parametrize(("width", "heads", "blocks"), [(384, 6, 2), (1408, 16, 1)])
def test_features_equal_the_definition(width: int, heads: int, blocks: int, tmp_path: Path) -> None:
    weights, frames = weights_of(width, blocks), some_frames(1)
    encoder = load_encoder(checkpoint(tmp_path / "1B_ft_k710_f8.pth", weights), CPU)
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, InternVideo2Encoder)
    assert (encoder.name, encoder.dim, encoder.license) == ("1B_ft_k710_f8", 48, "unknown")
    got = encoder(frames)
    assert got.std() > 0.5
    np.testing.assert_allclose(got, by_definition(weights, frames[:, ::4], heads), atol=1e-5)


def test_equal_weights_in_all_layouts_give_the_same_encoder(tmp_path: Path) -> None:
    weights, frames = weights_of(blocks=1), some_frames(1)
    sources = [checkpoint(tmp_path / f"{entry}.pth", weights, entry) for entry in ("module", "model", None)]
    sources += [
        checkpoint(tmp_path / "S14_ft_k710_f8" / "pytorch_model.bin", weights, "module"),
        hub_folder(tmp_path / "hub", weights),
        hub_folder(tmp_path / "bare", weights, prefix="", model_type="internvideo2_1B"),
        str(tmp_path / "bare" / "model.safetensors"),
    ]
    encoders = [load_encoder(source, CPU) for source in sources]
    assert len({encoder.identity for encoder in encoders}) == 1
    for encoder in encoders:
        np.testing.assert_array_equal(encoder(frames), encoders[0](frames))
    assert [encoder.name for encoder in encoders[3:]] == ["S14_ft_k710_f8", "hub", "bare", "bare"]
    assert [encoder.license for encoder in encoders[3:]] == ["unknown", "apache-2.0", "apache-2.0", "unknown"]


def test_positions_of_space_and_time_are_added(tmp_path: Path) -> None:
    joint = weights_of(blocks=1)
    parts = {
        name: noise(1, count, 384, seed=count) for name, count in {"cls": 1, "spatial": 256, "temporal": 4}.items()
    }
    first, patches, times = parts.values()
    joint["pos_embed"] = torch.cat([first, (patches[:, None] + times[:, :, None]).flatten(1, 2)], dim=1)
    separate = {name: weight for name, weight in joint.items() if name != "pos_embed"}
    separate |= {f"pos_embed_{name}": part for name, part in parts.items()}
    identities = {
        load_encoder(checkpoint(tmp_path / f"{name}.pth", weights), CPU).identity
        for name, weights in {"joint": joint, "separate": separate}.items()
    }
    assert len(identities) == 1


@pytest.mark.parametrize(("frames", "window"), [(4, None), (8, None), (4, 4), (4, 12)])
def test_the_network_reads_evenly_spaced_frames_of_a_window(frames: int, window: int | None, tmp_path: Path) -> None:
    weights = weights_of(blocks=1, frames=frames)
    encoder = load_encoder(checkpoint(tmp_path / "a.pth", weights), CPU, window=window)
    assert encoder.window == (window or 16)
    clip = some_frames(1, encoder.window)
    seen = clip[:, [round(number * encoder.window / frames) for number in range(frames)]]
    np.testing.assert_allclose(encoder(clip), by_definition(weights, seen), atol=1e-5)


def test_windows_differ_in_identity(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "a.pth", weights_of(blocks=1))
    assert len({load_encoder(source, CPU, window=window).identity for window in (None, 16, 8)}) == 2


@pytest.mark.parametrize("extra", ["clip_decoder.0.head.weight", "final_clip_decoder.norm.bias"])
def test_error_names_a_pretraining_checkpoint(extra: str, tmp_path: Path) -> None:
    weights = {name: weight for name, weight in weights_of(blocks=1).items() if not name.startswith("fc_norm")}
    message = refused(checkpoint(tmp_path / "pt.pth", weights | {extra: torch.zeros(4)}, "model"))
    assert "pt.pth: a model of pretraining, distillation or stage 2" in message
    assert "1B_ft_k710_ft_k400_f16.pth" in message


def test_error_names_a_stage_2_checkpoint(tmp_path: Path) -> None:
    weights = {f"vision_encoder.{name}": weight for name, weight in weights_of(blocks=1).items()}
    assert "expected a fine-tuned checkpoint" in refused(checkpoint(tmp_path / "stage2.pth", weights))


Change = Callable[[Weights], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("fc_norm.bias"), "lacks fc_norm.bias"),
        (lambda w: w.pop("pos_embed"), "lacks pos_embed"),
        (lambda w: w.update({"pos_embed_cls": torch.ones(1, 1, 384)}), "lacks pos_embed_spatial, pos_embed_temporal"),
        (lambda w: [w.pop(name) for name in list(w) if name.startswith("blocks.")], "lacks blocks.0.attn.k_norm.weig"),
        (lambda w: w.update({"extra_mlp.0.bias": torch.ones(48)}), "has the unexpected extra_mlp.0.bias"),
        (lambda w: w.update({"pos_embed": torch.ones(1, 4609, 384)}), r"is \[1, 4609, 384\]; .* for frames of 224×224"),
        (lambda w: w.update({"pos_embed": torch.ones(())}), r"pos_embed is \[\]"),
        (lambda w: w.update({"patch_embed.proj.weight": torch.ones(384, 3, 2, 14, 14)}), r"2, 14, 14\].*1×14×14"),
        (lambda w: w.update({"patch_embed.proj.weight": torch.ones(())}), r"weight is \[\]"),
        (lambda w: w.update({"blocks.0.mlp.fc1.weight": torch.ones(())}), r"fc1.weight is \[\]; expected a matrix"),
        (lambda w: w.update({"clip_projector.cross_attn.proj.weight": torch.ones(0, 384)}), "expected a matrix"),
        (lambda w: w.update({"blocks.0.attn.qkv.weight": torch.ones(2, 384)}), r"is \[2, 384\].* \[1152, 384\]"),
        (lambda w: w.update({"blocks.0.ls2.gamma": torch.ones(383)}), r"blocks.0.ls2.gamma is \[383\]"),
        (lambda w: w.update({"clip_projector.cross_attn.k_bias": torch.ones(2)}), r"cross_attn.k_bias is \[2\]"),
    ],
)
def test_other_weights_are_rejected(change: Change, words: str, tmp_path: Path) -> None:
    weights = weights_of(blocks=1)
    change(weights)
    source = checkpoint(tmp_path / "a.pth", weights)
    with pytest.raises(SolaError, match=words):
        load_encoder(source, CPU)
    assert refused(source).startswith(source)


def test_network_of_another_width_is_an_error(tmp_path: Path) -> None:
    message = refused(checkpoint(tmp_path / "a.pth", weights_of(width=192, blocks=1)))
    assert "expected InternVideo2 of 384, 768, 1024, 1408, 3200 channels" in message


def test_other_files_are_rejected(tmp_path: Path) -> None:
    assert "gone.bin: cannot be read (No such file or directory)" in refused(str(tmp_path / "gone.bin"))
    (tmp_path / "text.bin").write_text("no checkpoint")
    assert "not a PyTorch checkpoint" in refused(str(tmp_path / "text.bin"))
    (tmp_path / "text.safetensors").write_text("no tensors")
    assert "text.safetensors: cannot be read" in refused(str(tmp_path / "text.safetensors"))
    source = checkpoint(tmp_path / "a.pth", weights_of(blocks=1))
    assert "a window of 10 frames; expected a multiple of 4" in refused(source, window=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "frames"),
    [
        ("two blocks", 8),
        ("two blocks, separate positions", 16),
        ("small", 8),
        pytest.param("1B", 8, marks=pytest.mark.long),
    ],
)
def test_features_equal_the_authors_network(size: str, frames: int, tmp_path: Path) -> None:
    """Compare without the classifier.

    Without flash-attn the authors' GELU is exact, but trained networks have the approximation.
    """
    settings: dict[str, Any] = dict.fromkeys(("use_flash_attn", "use_fused_rmsnorm", "use_fused_mlp"), False)
    settings |= {"num_frames": frames, "num_classes": 5, "sep_pos_embed": "separate" in size}
    stand_ins = (
        stand_in("einops", rearrange=None),
        stand_in("flash_attn"),
        stand_in("flash_attn.modules"),
        stand_in("flash_attn.modules.mlp", FusedMLP=None),
        stand_in("flash_attn.ops"),
        stand_in("flash_attn.ops.rms_norm", DropoutAddRMSNorm=None),
        stand_in(".flash_attention_class", FlashAttention=None),
    )
    pixels = some_frames(1)
    with vision_program(
        "SOLA_INTERNVIDEO2_REFERENCE", "InternVideo2/single_modality/models/internvideo2.py", *stand_ins
    ) as program:
        if "two" in size:
            shape = {"embed_dim": 384, "depth": 2, "num_heads": 6, "mlp_ratio": 0.5, "clip_embed_dim": 48}
            network = program.InternVideo2(**shape, **settings)
        else:
            network = getattr(program, f"internvideo2_{size}_patch14_224")(**settings)
        network = randomized(network)
        source = checkpoint(tmp_path / "a.pth", network.state_dict())
        network.head = torch.nn.Identity()
        for block in network.blocks:
            block.mlp.act = torch.nn.GELU("tanh")
        with torch.inference_mode():
            video = (torch.tensor(pixels[:, :: 16 // frames]).float() / 255 - MEAN) / DEVIATION
            expected = network(video.permute(0, 4, 1, 2, 3)).numpy()
        del network
    got = load_encoder(source, CPU)(pixels)
    assert got.std() > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-4)
