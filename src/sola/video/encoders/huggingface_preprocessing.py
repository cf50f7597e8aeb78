"""The preprocessing of a Hugging Face model, read without `transformers`, whose processors need torchvision."""

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
    """Factor of values from 0 to 255."""
    mean: tuple[float, float, float]
    """Mean of red, green and blue, after scaling."""
    deviation: tuple[float, float, float]


PREPROCESSING_FILES = {
    "processor_config.json": ("video_processor", "image_processor"),
    "video_preprocessor_config.json": (),
    "preprocessor_config.json": (),
}
"""Files with settings in order of precedence, and the keys that may hold them."""
STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
NO_STEPS = ("do_convert_rgb", "do_sample_frames")
"""Steps that are ignored: frames are RGB already, and the extraction samples them."""
INTERPOLATIONS: dict[str, Interpolation] = {"1": "lanczos", "2": "bilinear", "3": "bicubic", "4": "area"}
"""Interpolations by the numbers of PIL."""


def read_preprocessing(folder: Path, defaults: Mapping[str, Any]) -> Preprocessing:
    """Read the preprocessing in the folder of a model; `defaults` has values for keys that are missing.

    Raises SolaError for a setting that is not supported.
    """
    file, record = _settings(folder)
    said = {key: value for key, value in record.items() if value is not None}
    settings = dict.fromkeys(STEPS, True) | {"rescale_factor": 1 / 255} | dict(defaults) | said
    if "do_center_crop" not in said and "crop_size" not in said and "size" in said:
        settings["do_center_crop"] = _is_short_side(said["size"])  # a height and a width need no crop
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
    """Return the file with the settings, and the settings; empty if there is no file."""
    for name, keys in PREPROCESSING_FILES.items():
        if (folder / name).is_file():
            whole = read_json(folder / name, "preprocessing settings")
            if not isinstance(whole, dict):
                raise SolaError(f"{folder / name}: expected a JSON object of preprocessing settings")
            for record in [whole.get(key) for key in keys] or [whole]:
                if isinstance(record, dict):
                    return folder / name, record
    return folder / "config.json", {}


def _framing(settings: Mapping[str, Any]) -> Framing:
    """Return the framing of `size`, `crop_size` and `resample`."""
    if not settings["do_resize"]:
        raise SolaError("do_resize is false; expected frames to be brought to one size")
    interpolation = INTERPOLATIONS.get(str(settings["resample"]))
    if interpolation is None:
        raise SolaError(
            f"resample {settings['resample']!r} is not supported; expected one of {', '.join(INTERPOLATIONS)}"
        )
    crop = _sides(settings, "crop_size", "height", "width") if settings["do_center_crop"] else None
    if _is_short_side(settings["size"]):
        (short_side,) = _sides(settings, "size", "shortest_edge")
        if crop is None:
            raise SolaError("size has a shortest_edge without do_center_crop; expected frames of one size")
        height, width = crop
        return Framing(height, width, short_side, interpolation)
    height, width = _sides(settings, "size", "height", "width")
    if crop not in (None, (height, width)):
        raise SolaError("size has height and width, of which crop_size would cut out a part; expected the same twice")
    return Framing(height, width, None, interpolation)


def _is_short_side(size: Any) -> bool:
    """Return whether a size is that of the shorter side alone."""
    return isinstance(size, int) or (isinstance(size, dict) and _keys(size) == {"shortest_edge"})


def _keys(size: Mapping[str, Any]) -> set[str]:
    return {key for key, value in size.items() if value is not None}


def _sides(settings: Mapping[str, Any], key: str, *names: str) -> tuple[int, ...]:
    """Return the sides of a setting in pixels; a single number gives all of them."""
    value = settings[key]
    sides = dict.fromkeys(names, value) if isinstance(value, int) else value
    if not isinstance(sides, dict) or _keys(sides) != set(names) or not all(type(sides[n]) is int for n in names):
        raise SolaError(f"{key} {json.dumps(value)} is not supported; expected whole {' and '.join(names)} in pixels")
    return tuple(sides[name] for name in names)


def _colors(settings: Mapping[str, Any], key: str, least: float) -> tuple[float, float, float]:
    """Return three numbers above `least`; a single number gives all three."""
    value = settings[key]
    values = value if isinstance(value, list | tuple) else [value] * 3
    if len(values) != 3 or not all(
        type(each) in (int, float) and least < each <= sys.float_info.max for each in values
    ):
        raise SolaError(f"{key} {json.dumps(value)} is not supported; expected three numbers above {least:g}")
    red, green, blue = map(float, values)
    return red, green, blue
