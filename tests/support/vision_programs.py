"""Import vision transformers from clones of published code; environment variables name the clones."""

import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

PACKAGE = "models_of_the_authors"


def stand_in(name: str, **contents: Any) -> types.ModuleType:
    """Return a stub module with only the given contents."""
    module = types.ModuleType(name)
    vars(module).update(contents)
    return module


@contextmanager
def vision_program(variable: str, file: str, *stand_ins: types.ModuleType) -> Iterator[Any]:
    """Import a file of the clone named by an environment variable, and unload it afterwards.

    Skips the test if the variable is not set. Imports from timm are replaced by stubs; pass stubs for other imports in
    `stand_ins`. Names of stubs for modules of the same package begin with a period.
    """
    clone = os.environ.get(variable)
    if not clone:
        pytest.skip(f"set {variable} to a clone of the authors' code")
    path = Path(clone) / file
    modules = [
        stand_in("timm"),
        stand_in("timm.models"),
        stand_in(
            "timm.models.layers",
            DropPath=torch.nn.Identity,  # no path is dropped at evaluation
            drop_path=lambda x, *_: x,
            to_2tuple=lambda side: (side, side),
            trunc_normal_=torch.nn.init.trunc_normal_,
        ),
        stand_in("timm.models.registry", register_model=lambda build: build),
        stand_in(PACKAGE, __path__=[str(path.parent)]),
        *stand_ins,
    ]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their code was written for an older PyTorch
        for module in modules:
            name = PACKAGE + module.__name__ if module.__name__.startswith(".") else module.__name__
            patch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        program = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(program)
            yield program
        finally:
            for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]:
                del sys.modules[name]
