"""The authors' ActionFormer and TriDet programs, which have the same layout, from clones that variables name."""

import copy
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

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

        try:
            yield build
        finally:  # two programs have the same names
            for name in [name for name in sys.modules if name.split(".")[0] == "libs"]:
                del sys.modules[name]
