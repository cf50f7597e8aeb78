"""Programs with the layout of ActionFormer's, from clones that variables name, and comparisons with them."""

import copy
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sola.detectors.point_pyramid.detector import PointDetector
from sola.detectors.point_pyramid.points import Prediction
from support.weights import noise

Build = Callable[[str], tuple[torch.nn.Module, dict[str, Any]]]
"""An untrained network and its configuration, by the name of one of the authors' files, or the path of another."""


@contextmanager
def program(variable: str) -> Iterator[Build]:
    """Import the program from the clone that a variable names, and forget it afterwards; skip without a clone."""
    clone = os.environ.get(variable)
    if not clone:
        pytest.skip(f"name a clone of the authors' program in {variable}")
    pytest.importorskip("yaml")
    # their suppression is a compiled extension; without it the network decodes to unsuppressed segments
    utils = types.ModuleType("libs.utils")
    utils.batched_nms = utils.remove_duplicate_annotations = None  # type: ignore[attr-defined]
    utils.__path__ = [str(Path(clone) / "libs" / "utils")]
    # it imports their evaluation, with libraries of its own
    postprocessing = types.ModuleType("libs.utils.postprocessing")
    postprocessing.postprocess_results = None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their PyTorch's time
        patch.setitem(sys.modules, "libs.utils", utils)
        patch.setattr(torch.jit, "script", lambda function: function)  # so that tests can change its precision
        patch.setitem(sys.modules, "libs.utils.postprocessing", postprocessing)
        patch.syspath_prepend(clone)
        from libs.core.config import load_config, load_default_config
        from libs.modeling import make_meta_arch

        def build(name: str) -> tuple[torch.nn.Module, dict[str, Any]]:
            config = load_config(str(Path(clone) / "configs" / f"{name}.yaml"), copy.deepcopy(load_default_config()))
            config["test_cfg"]["nms_method"] = "none"
            if "input_noise" in config["model"]:  # TriDet's
                config["model"]["input_noise"] = 0.0
            torch.manual_seed(0)
            return make_meta_arch(config["model_name"], **config["model"]), config

        yield build
        for name in [name for name in sys.modules if name.split(".")[0] == "libs"]:
            del sys.modules[name]


Examples = tuple[list[Tensor], list[Tensor], list[Tensor]]


def examples(channels: int, classes: int) -> Examples:
    """Two clips in double precision, with twelve instances each and their classes."""
    clips = [noise(channels, length, seed=length).double() for length in (300, 200)]
    start = torch.rand(2, 12, generator=torch.Generator().manual_seed(0)) * 200
    size = 1 + 90 * torch.rand(2, 12, generator=torch.Generator().manual_seed(1)) ** 2
    instances, labels = torch.stack([start, start + size], dim=2).double(), torch.arange(24).view(2, 12) % classes
    return clips, list(instances), list(labels)


@contextmanager
def double_precision() -> Iterator[None]:
    """Compute in double precision, also what a program casts to single."""
    default = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        for name in ("float", "float32"):
            patch.setattr(torch, name, torch.float64)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(default)


def published_losses(theirs: torch.nn.Module, data: Examples) -> dict[str, Tensor]:
    """The losses of the authors' program, whose snippets begin half a unit later."""
    losses: dict[str, Tensor] = theirs(
        [
            {"feats": clip, "segments": instance - 0.5, "labels": label}
            for clip, instance, label in zip(*data, strict=True)
        ]
    )
    return losses


def assert_same_segments(theirs: torch.nn.Module, ours: PointDetector, got: Prediction, clip: Tensor) -> None:
    """Compare the unsuppressed segments; the authors cut theirs to the video."""
    video = {"video_id": "v", "fps": 1.0, "duration": 1e6, "feat_stride": 1, "feat_num_frames": 1}
    (result,) = theirs([{"feats": clip, **video}])
    (found,) = ours.decode(got)
    assert len(found) == len(result["scores"]) > 300
    np.testing.assert_allclose(np.sort(found.score), np.sort(result["scores"].numpy()), rtol=1e-4, atol=1e-5)
    for column, index in ((found.start, 0), (found.end, 1)):
        expected = np.sort(result["segments"].numpy()[:, index])
        np.testing.assert_allclose(np.sort(column.clip(min=0)), expected, rtol=1e-4, atol=1e-3)


def assert_same_step(
    mine: Tensor,
    published: Tensor,
    models: tuple[torch.nn.Module, torch.nn.Module],
    pairs: tuple[tuple[torch.nn.Module, torch.nn.Module], ...],
) -> None:
    """Compare the gradients of two losses in pairs of layers, and the weights after one step of AdamW."""
    mine.backward()
    published.backward()
    for ours, theirs in pairs:
        largest = float(theirs.weight.grad.abs().max())
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-5 * largest)
    for model in models:
        torch.optim.AdamW(model.parameters(), lr=1e-3).step()
    for ours, theirs in pairs:
        # where a gradient is about 0, rounding decides the step
        near = (ours.weight - theirs.weight).abs()
        assert float((near < 1e-5).float().mean()) > 0.999
