"""VideoMAE V2 against the network written down plainly, and against the authors' program from a clone."""

import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.weights import noise
from torch import Tensor
from torch.nn import functional as F

from sola.core.errors import SolaError
from sola.video.encoders import videomae2
from sola.video.encoders.base import Encoder
from sola.video.encoders.loading import load_encoder
from sola.video.encoders.videomae2 import PREPROCESSING, load_videomae2

pytest.importorskip("transformers")

CPU = torch.device("cpu")
WIDTH, HEADS, DEPTH, PATCH, HIDDEN = 24, 4, 2, 56, 40


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videomae2, "HEADS", {**videomae2.HEADS, WIDTH: HEADS})


def weights() -> dict[str, Tensor]:
    """Random weights of a small network under the published names, with a head for classes."""
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (WIDTH, 3, 2, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "fc_norm.weight": (WIDTH,),
        "fc_norm.bias": (WIDTH,),
        "head.weight": (7, WIDTH),
        "head.bias": (7,),
    }
    for layer in range(DEPTH):
        shapes |= {
            f"blocks.{layer}.{name}": shape
            for name, shape in {
                "norm1.weight": (WIDTH,),
                "norm1.bias": (WIDTH,),
                "attn.q_bias": (WIDTH,),
                "attn.v_bias": (WIDTH,),
                "attn.qkv.weight": (3 * WIDTH, WIDTH),
                "attn.proj.weight": (WIDTH, WIDTH),
                "attn.proj.bias": (WIDTH,),
                "norm2.weight": (WIDTH,),
                "norm2.bias": (WIDTH,),
                "mlp.fc1.weight": (HIDDEN, WIDTH),
                "mlp.fc1.bias": (HIDDEN,),
                "mlp.fc2.weight": (WIDTH, HIDDEN),
                "mlp.fc2.bias": (WIDTH,),
            }.items()
        }
    drawn = {name: noise(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    return {name: value / max(np.prod(value.shape[1:]), 4) ** 0.5 for name, value in drawn.items()}


def plain(w: dict[str, Tensor], clip: Tensor) -> Tensor:
    """The feature of one clip [3, 16, 224, 224] of colors from 0 to 1."""

    def norm(name: str, x: Tensor) -> Tensor:
        scaled = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = F.conv3d(clip[None], w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=(2, PATCH, PATCH))
    x = x[0].flatten(1).T
    for token in range(len(x)):
        for channel in range(WIDTH):
            angle = token / 10000 ** (2 * (channel // 2) / WIDTH)
            x[token, channel] += np.cos(angle) if channel % 2 else np.sin(angle)
    for layer in range(DEPTH):
        name = f"blocks.{layer}"
        query, key, value = (norm(f"{name}.norm1", x) @ w[f"{name}.attn.qkv.weight"].T).chunk(3, dim=1)
        query, value = query + w[f"{name}.attn.q_bias"], value + w[f"{name}.attn.v_bias"]
        heads = []
        for first in range(0, WIDTH, WIDTH // HEADS):
            q, k, v = (one[:, first : first + WIDTH // HEADS] for one in (query, key, value))
            heads.append((q @ k.T / (WIDTH // HEADS) ** 0.5).softmax(dim=1) @ v)
        x = x + torch.cat(heads, dim=1) @ w[f"{name}.attn.proj.weight"].T + w[f"{name}.attn.proj.bias"]
        hidden = F.gelu(norm(f"{name}.norm2", x) @ w[f"{name}.mlp.fc1.weight"].T + w[f"{name}.mlp.fc1.bias"])
        x = x + hidden @ w[f"{name}.mlp.fc2.weight"].T + w[f"{name}.mlp.fc2.bias"]
    return norm("fc_norm", x.mean(0))


def layouts() -> dict[str, Callable[[Path], Path]]:
    """Files with the small weights, in the layouts in which they are published."""

    def pth(path: Path, content: Any) -> Path:
        torch.save(content, path)
        return path

    def safetensors(path: Path) -> Path:
        path.mkdir()
        without_head = {f"model.{name}": one for name, one in weights().items() if not name.startswith("head")}
        save_file(without_head, path / "model.safetensors")
        (path / "config.json").write_text('{"model_type": "VideoMAEv2_Base", "model_config": {}}')
        return path

    return {
        "module": lambda folder: pth(folder / "vit.pth", {"module": weights()}),
        "model": lambda folder: pth(folder / "vit.pth", {"model": weights(), "epoch": 30}),
        "bare": lambda folder: pth(folder / "vit.pt", weights()),
        "hub": lambda folder: safetensors(folder / "VideoMAEv2-Base"),
    }


@pytest.mark.parametrize("layout", layouts())
def test_a_feature_equals_the_plain_network(tmp_path: Path, layout: str) -> None:
    encoder = load_encoder(str(layouts()[layout](tmp_path)), CPU)
    assert isinstance(encoder, Encoder)
    assert (encoder.dim, encoder.window, encoder.stride, encoder.fps) == (WIDTH, 16, 4, 30.0)
    drawn = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), dtype=np.uint8)
    frames = np.stack([drawn, 255 - drawn // 4])
    clips = torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 255
    expected = torch.stack([plain(weights(), clip) for clip in clips])
    assert expected.std(dim=0).median() > 1e-2, "the oracle must tell clips apart"
    torch.testing.assert_close(torch.from_numpy(encoder(frames)), expected, rtol=1e-4, atol=1e-5)


def test_the_preprocessing_is_that_of_the_published_features(tmp_path: Path) -> None:
    encoder = load_encoder(str(layouts()["module"](tmp_path)), CPU)
    framing = encoder.framing
    assert (framing.height, framing.width, framing.short_side, framing.interpolation) == (224, 224, None, "bilinear")
    assert PREPROCESSING.mean == (0, 0, 0)
    # on the hub, files beside the weights state another one
    folder = layouts()["hub"](tmp_path)
    (folder / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 224}, "image_mean": 0.5}')
    other = load_encoder(str(folder), CPU)
    assert other.framing.short_side == 224
    assert other.identity != encoder.identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"encoder.blocks.0.norm1.weight": w["blocks.0.norm1.weight"]}, "is a pretraining checkpoint"),
        (lambda w: {name: one for name, one in w.items() if "fc_norm" not in name}, "lacks bias"),
        (lambda w: {name: one for name, one in w.items() if name != "blocks.1.mlp.fc1.bias"}, "lacks encoder.layer.1"),
        (lambda w: w | {"blocks.0.gamma_1": torch.ones(WIDTH)}, "has the unexpected blocks.0.gamma_1"),
        (lambda w: w | {"patch_embed.proj.weight": torch.zeros(20, 3, 2, 16, 16)}, r"expected one of 384, 768"),
        (lambda w: w | {"patch_embed.proj.bias": torch.zeros(3)}, r"projection.bias is \[3\]; expected \[24\]"),
        (lambda w: {"w": torch.ones(1)}, "lacks patch_embed.proj.weight"),
        (lambda w: {"model": 3}, "expected weights by name"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], Any], message: str
) -> None:
    torch.save(change(weights()), tmp_path / "vit.pth")
    with pytest.raises(SolaError, match=message) as raised:
        load_videomae2(tmp_path / "vit.pth")
    assert str(raised.value).startswith(str(tmp_path / "vit.pth"))


def test_nothing_else_is_unpickled(tmp_path: Path) -> None:
    torch.save({"model": weights(), "args": types.SimpleNamespace()}, tmp_path / "vit.pth")
    with pytest.raises(SolaError, match="nothing else is unpickled"):
        load_videomae2(tmp_path / "vit.pth")
    with pytest.raises(SolaError, match="cannot be read"):
        load_videomae2(tmp_path / "none.pth")
    with pytest.raises(SolaError, match="a window of 8 frames; expected its 16"):
        load_videomae2(tmp_path / "vit.pth", 8)


@pytest.fixture
def published() -> Iterator[types.ModuleType]:
    """The authors' `modeling_finetune` from a clone, with a stand-in for what it needs of timm."""
    clone = os.environ.get("SOLA_VIDEOMAE2_REFERENCE")
    if not clone:
        pytest.skip("no SOLA_VIDEOMAE2_REFERENCE: name a clone of OpenGVLab/VideoMAEv2 to compare with it")
    layers, registry = types.ModuleType("timm.models.layers"), types.ModuleType("timm.models.registry")
    layers.drop_path = lambda x, *_: x
    layers.to_2tuple = lambda size: (size, size)
    layers.trunc_normal_ = torch.nn.init.trunc_normal_
    registry.register_model = lambda function: function
    with pytest.MonkeyPatch.context() as patch:
        for name in ("timm", "timm.models"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, layers.__name__, layers)
        patch.setitem(sys.modules, registry.__name__, registry)
        patch.syspath_prepend(str(Path(clone, "models")))
        import modeling_finetune

        yield modeling_finetune
        del sys.modules["modeling_finetune"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_small_patch16_224", "vit_base_patch16_224", "vit_giant_patch14_224"])
def test_videomae2_equals_the_published_network(published: types.ModuleType, tmp_path: Path, name: str) -> None:
    """The giant network, of four gigabytes, with three of its forty layers."""
    torch.manual_seed(0)
    theirs = getattr(published, name)(num_classes=710, all_frames=16, tubelet_size=2, init_scale=1.0)
    theirs.eval()
    if "giant" in name:
        theirs.blocks = theirs.blocks[:3]
    with torch.no_grad():
        for seed, parameter in enumerate(theirs.parameters()):
            if parameter.ndim < 2:
                parameter.add_(0.3 * noise(*parameter.shape, seed=seed))
    torch.save({"module": theirs.state_dict()}, tmp_path / "vit.pth")
    ours = load_videomae2(tmp_path / "vit.pth")
    clip = torch.rand(1, 3, 16, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs.forward_features(clip)
        got = ours(clip.transpose(1, 2))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert expected.abs().max() > 0.5
