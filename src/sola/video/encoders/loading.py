"""Load encoders by name."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sola.core.checks import at_least
from sola.core.errors import SolaError
from sola.video.encoders.base import DEFAULT_ENCODER, Encoder

if TYPE_CHECKING:
    import torch

CHECKPOINTS = (".pth", ".bin", ".safetensors")
"""Suffixes of the authors' checkpoints."""
EXPECTED = (
    f"expected {DEFAULT_ENCODER}, a folder or hub id of a transformers model (MCG-NJU/videomae-base), a checkpoint of "
    "VideoMAE V2 or InternVideo2 (.pth, .bin or .safetensors), or your own module:function or file.py:function"
)


def load_encoder(source: str, device: "torch.device", *, window: int | None = None) -> Encoder:
    """Load a snippet encoder.

    Args:
        source: "efficientnet-lite0", a folder or hub id of a Hugging Face model, a checkpoint of VideoMAE V2 or
            InternVideo2 (`.pth`, `.bin` or `.safetensors`), or `module:function` (`file.py:function`), a function that
            takes a `torch.device` and returns an `Encoder`.
        device: device of the encoder.
        window: frames per snippet, or None for the default of the encoder.

    Raises:
        SolaError: if the encoder is unknown, cannot be loaded, or does not support the window.

    Examples:
        >>> import numpy as np
        >>> import sola
        >>> import torch
        >>> encoder = sola.load_encoder("efficientnet-lite0", torch.device("cpu"))
        >>> encoder.fps, encoder.window, encoder.stride
        (4.0, 1, 1)
        >>> windows = np.zeros((2, encoder.window, encoder.framing.height, encoder.framing.width, 3), np.uint8)
        >>> encoder(windows).shape
        (2, 1280)
    """
    at_least(1, window=window)
    from sola.video.encoders.efficientnet import EfficientNetEncoder

    if source == DEFAULT_ENCODER:
        return EfficientNetEncoder(device, window=window or 1)
    if Path(source).is_dir():
        return _load_hugging_face(source, device, window)
    if is_own(source):
        encoder = _load_custom(source, device)
        if window not in (None, encoder.window):
            raise SolaError(f"{source}: requires windows of {encoder.window} frames, not {window}")
        return encoder
    if source.endswith(CHECKPOINTS):
        return _load_checkpoint(Path(source).expanduser(), device, window)
    if source.partition("@")[0].count("/") == 1:
        return _load_hugging_face(source, device, window)
    raise SolaError(f"{source}: no such encoder; {EXPECTED}")


def _load_hugging_face(source: str, device: "torch.device", window: int | None) -> Encoder:
    """Load a Hugging Face model from a folder or by its hub id."""
    from sola.video.encoders.huggingface import HuggingFaceEncoder
    from sola.video.encoders.huggingface_folders import ModelFolder
    from sola.video.encoders.internvideo2 import InternVideo2Encoder
    from sola.video.encoders.published_checkpoints import Checkpoint
    from sola.video.encoders.videomae2 import VideoMAE2Encoder, check_config

    model = ModelFolder.find(source)
    if model.is_a("internvideo2"):  # transformers supports neither of these two families
        return InternVideo2Encoder(Checkpoint.of_folder(model), device, window=window)
    if model.is_a("videomaev2"):
        check_config(model)
        return VideoMAE2Encoder(Checkpoint.of_folder(model), device, window=window)
    return HuggingFaceEncoder(model, device, window=window)


def _load_checkpoint(path: Path, device: "torch.device", window: int | None) -> Encoder:
    """Load the encoder of a checkpoint file. The names of its weights tell which."""
    from sola.video.encoders.internvideo2 import InternVideo2Encoder, has_internvideo2
    from sola.video.encoders.published_checkpoints import Checkpoint
    from sola.video.encoders.videomae2 import VideoMAE2Encoder

    checkpoint = Checkpoint.read(path)
    kind = InternVideo2Encoder if has_internvideo2(checkpoint.weights) else VideoMAE2Encoder
    return kind(checkpoint, device, window=window)


def is_own(source: str) -> bool:
    """Return True if a name refers to a user-defined function."""
    return ":" in source and not Path(source).is_dir()


def _load_custom(source: str, device: "torch.device") -> Encoder:
    place, _, name = source.rpartition(":")
    function = getattr(_module(place, source), name, None)
    if not callable(function):
        raise SolaError(f"{source}: {place} has no function {name!r}; expected a function that returns an encoder")
    encoder: Encoder = function(device)
    properties = [name for name, value in vars(Encoder).items() if isinstance(value, property)]
    missing = [part for part in properties if not hasattr(encoder, part)]
    if missing or not callable(encoder):
        missing_names = ", ".join(missing) or "__call__"
        raise SolaError(
            f"{source}: the returned object lacks {missing_names}; expected the protocol "
            "sola.video.encoders.base.Encoder"
        )
    return encoder


def _module(place: str, source: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            path = Path(place)
            if not path.is_file():
                raise SolaError(f"{place}: no such file; expected a Python file with the encoder function")
            # a module name that cannot be imported otherwise, so that the file may be named av.py
            spec = importlib.util.spec_from_file_location(f"encoder:{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses look up the module
            spec.loader.exec_module(module)
            return module
        sys.path.insert(0, str(Path.cwd()))  # for user modules
        try:
            return importlib.import_module(place)
        finally:
            sys.path.remove(str(Path.cwd()))
    except (ImportError, SyntaxError, TypeError, ValueError) as error:
        raise SolaError(f"{source}: cannot be imported ({' '.join(str(error).split())}); {EXPECTED}") from None
