"""Compare detectors with published code in the layout of ActionFormer; environment variables name the clones."""

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
"""Builds an untrained network and its configuration from the name or path of a config file."""


@contextmanager
def program(variable: str) -> Iterator[Build]:
    """Import the code of the clone named by an environment variable, and unload it afterwards.

    Skips the test if the variable is not set.
    """
    clone = os.environ.get(variable)
    if not clone:
        pytest.skip(f"set {variable} to a clone of the authors' code")
    pytest.importorskip("yaml")
    # their NMS is a compiled extension; without it the network decodes to segments before suppression
    utils = types.ModuleType("libs.utils")
    utils.batched_nms = utils.remove_duplicate_annotations = None  # type: ignore[attr-defined]
    utils.__path__ = [str(Path(clone) / "libs" / "utils")]
    # this module imports their evaluation, which needs further libraries
    postprocessing = types.ModuleType("libs.utils.postprocessing")
    postprocessing.postprocess_results = None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their code was written for an older PyTorch
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
    """Return two clips in double precision, each with twelve instances and their classes."""
    clips = [noise(channels, length, seed=length).double() for length in (300, 200)]
    start = torch.rand(2, 12, generator=torch.Generator().manual_seed(0)) * 200
    size = 1 + 90 * torch.rand(2, 12, generator=torch.Generator().manual_seed(1)) ** 2
    instances, labels = torch.stack([start, start + size], dim=2).double(), torch.arange(24).view(2, 12) % classes
    return clips, list(instances), list(labels)


@contextmanager
def double_precision() -> Iterator[None]:
    """Compute in double precision, including values that the code casts to single precision."""
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


def published_losses(reference: torch.nn.Module, data: Examples) -> dict[str, Tensor]:
    """Return the losses of the authors' network, whose snippet times are half a unit later."""
    losses: dict[str, Tensor] = reference(
        [
            {"feats": clip, "segments": instance - 0.5, "labels": label}
            for clip, instance, label in zip(*data, strict=True)
        ]
    )
    return losses


def assert_same_segments(reference: torch.nn.Module, detector: PointDetector, output: Prediction, clip: Tensor) -> None:
    """Compare the segments before suppression. The authors clip segments to the video."""
    video = {"video_id": "v", "fps": 1.0, "duration": 1e6, "feat_stride": 1, "feat_num_frames": 1}
    (expected_result,) = reference([{"feats": clip, **video}])
    (segments,) = detector.decode(output)
    assert len(segments) == len(expected_result["scores"]) > 300
    np.testing.assert_allclose(
        np.sort(segments.score), np.sort(expected_result["scores"].numpy()), rtol=1e-4, atol=1e-5
    )
    for column, index in ((segments.start, 0), (segments.end, 1)):
        expected = np.sort(expected_result["segments"].numpy()[:, index])
        np.testing.assert_allclose(np.sort(column.clip(min=0)), expected, rtol=1e-4, atol=1e-3)


def assert_same_step(
    loss: Tensor,
    reference_loss: Tensor,
    models: tuple[torch.nn.Module, torch.nn.Module],
    pairs: tuple[tuple[torch.nn.Module, torch.nn.Module], ...],
) -> None:
    """Compare gradients of pairs of layers, and their weights after one step of AdamW."""
    loss.backward()
    reference_loss.backward()
    for layer, reference in pairs:
        largest = float(reference.weight.grad.abs().max())
        torch.testing.assert_close(layer.weight.grad, reference.weight.grad, rtol=1e-4, atol=1e-5 * largest)
    for model in models:
        torch.optim.AdamW(model.parameters(), lr=1e-3).step()
    for layer, reference in pairs:
        # where a gradient is about 0, rounding decides the step
        difference = (layer.weight - reference.weight).abs()
        assert float((difference < 1e-5).float().mean()) > 0.999
