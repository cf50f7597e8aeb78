"""Read the preprocessing of a Hugging Face model without `transformers`, whose processors need torchvision."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import read_json
from sola.video.framing import Framing, Interpolation


@dataclass(frozen=True)
class Preprocessing:
    """Framing, scaling and normalization of frames."""

    framing: Framing
    scale: float
    """Factor for values from 0 to 255."""
    mean: tuple[float, float, float]
    """Mean of red, green and blue, after scaling."""
    deviation: tuple[float, float, float]
    """Standard deviation of red, green and blue, after scaling."""


PREPROCESSING_FILES = {
    "processor_config.json": ("video_processor", "image_processor"),
    "video_preprocessor_config.json": (),
    "preprocessor_config.json": (),
}
"""Settings files in order of precedence, and the keys that may contain the settings."""
STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
NO_STEPS = ("do_convert_rgb", "do_sample_frames")
"""Ignored steps: frames are already RGB, and the extraction samples them."""
INTERPOLATIONS: dict[str, Interpolation] = {"1": "lanczos", "2": "bilinear", "3": "bicubic", "4": "area"}
"""Interpolation methods by PIL code."""


def read_preprocessing(folder: Path, defaults: Mapping[str, Any]) -> Preprocessing:
    """Read the preprocessing from a model folder, with `defaults` for missing keys.

    Raises SolaError for an unsupported setting.
    """
    file, record = _settings(folder)
    stated = {key: value for key, value in record.items() if value is not None}
    settings = dict.fromkeys(STEPS, True) | {"rescale_factor": 1 / 255} | dict(defaults) | stated
    if "do_center_crop" not in stated and "crop_size" not in stated and "size" in stated:
        settings["do_center_crop"] = _is_short_side(stated["size"])  # a size with height and width needs no crop
    try:
        for key, value in settings.items():
            if key.startswith("do_") and value and key not in STEPS + NO_STEPS:
                raise SolaError(f"{key} is not supported")
        framing = _framing(settings)
        scale, _, _ = _colors(settings, "rescale_factor", 0.0) if settings["do_rescale"] else (1.0, 1.0, 1.0)
        mean, deviation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if settings["do_normalize"]:
            mean, deviation = _colors(settings, "image_mean", -math.inf), _colors(settings, "image_std", 0.0)
    except SolaError as error:
        raise SolaError(f"{file}: {error}") from None
    return Preprocessing(framing, scale, mean, deviation)


def _settings(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the settings file and the settings, which are empty if there is no file."""
    for name, keys in PREPROCESSING_FILES.items():
        if (folder / name).is_file():
            content = read_json(folder / name, "preprocessing settings")
            if not isinstance(content, dict):
                raise SolaError(f"{folder / name}: expected a JSON object of preprocessing settings")
            for record in [content.get(key) for key in keys] or [content]:
                if isinstance(record, dict):
                    return folder / name, record
    return folder / "config.json", {}


def _framing(settings: Mapping[str, Any]) -> Framing:
    """Return the framing for `size`, `crop_size` and `resample`."""
    if not settings["do_resize"]:
        raise SolaError("do_resize is false; expected frames to be resized to a fixed size")
    interpolation = INTERPOLATIONS.get(str(settings["resample"]))
    if interpolation is None:
        raise SolaError(
            f"resample {settings['resample']!r} is not supported; expected one of {', '.join(INTERPOLATIONS)}"
        )
    crop = _sides(settings, "crop_size", "height", "width") if settings["do_center_crop"] else None
    if _is_short_side(settings["size"]):
        (short_side,) = _sides(settings, "size", "shortest_edge")
        if crop is None:
            raise SolaError("size has a shortest_edge without do_center_crop; expected frames of a fixed size")
        height, width = crop
        return Framing(height, width, short_side, interpolation)
    height, width = _sides(settings, "size", "height", "width")
    if crop not in (None, (height, width)):
        raise SolaError("crop_size differs from the height and width of size; expected equal sizes")
    return Framing(height, width, None, interpolation)


def _is_short_side(size: Any) -> bool:
    """Return True if a size gives only the shorter side."""
    return isinstance(size, int) or (isinstance(size, dict) and _keys(size) == {"shortest_edge"})


def _keys(size: Mapping[str, Any]) -> set[str]:
    return {key for key, value in size.items() if value is not None}


def _sides(settings: Mapping[str, Any], key: str, *names: str) -> tuple[int, ...]:
    """Return the named sides of a size setting (pixels). A single number applies to all of them."""
    value = settings[key]
    sides = dict.fromkeys(names, value) if isinstance(value, int) else value
    if not isinstance(sides, dict) or _keys(sides) != set(names) or not all(type(sides[n]) is int for n in names):
        raise SolaError(
            f"{key} {json.dumps(value)} is not supported; expected {' and '.join(names)} as integers (pixels)"
        )
    return tuple(sides[name] for name in names)


def _colors(settings: Mapping[str, Any], key: str, least: float) -> tuple[float, float, float]:
    """Return three numbers above `least`. A single number applies to all three."""
    value = settings[key]
    values = value if isinstance(value, list | tuple) else [value] * 3
    if len(values) != 3 or not all(
        type(number) in (int, float) and least < number <= sys.float_info.max for number in values
    ):
        raise SolaError(f"{key} {json.dumps(value)} is not supported; expected three numbers above {least:g}")
    red, green, blue = map(float, values)
    return red, green, blue
