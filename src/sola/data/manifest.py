"""`features.json`, the manifest of a feature folder: origin of the features and snippet timing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sola.core.errors import SolaError
from sola.core.files import read_json, write_json
from sola.data.numbers import parsed

MANIFEST_NAME = "features.json"


@dataclass(frozen=True)
class Manifest:
    """Description of a set of features. All fields are optional. Raises SolaError naming a key with a bad value."""

    dim: int | None = None
    """Number of channels."""
    fps: float | None = None
    """Frame rate of the videos (frames per second)."""
    stride: float | None = None
    """Distance between the starts of consecutive snippets (frames)."""
    window: float | None = None
    """Length of a snippet (frames)."""
    offset: float | None = None
    """Start of the first snippet (frames)."""
    layout: str | None = None
    """Axis order of the arrays in the files: "TC" (time, channels) or "CT"."""
    encoder: str | None = None
    """Name of the encoder."""
    extraction: Mapping[str, Any] | None = None
    """Settings of `sola extract`, if it wrote the features."""
    sola: Mapping[str, Any] | None = None
    """Record of the SoLa module, if the features were transformed."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """Other keys, which are preserved."""

    def __post_init__(self) -> None:
        for key in ("dim", "fps", "stride", "window"):
            value = getattr(self, key)
            if value is not None and not 0 < value < math.inf:
                raise SolaError(f'"{key}" must be positive, not {value}')
        if self.offset is not None and not math.isfinite(self.offset):
            raise SolaError(f'"offset" must be finite, not {self.offset}')
        if self.layout not in (None, "TC", "CT"):
            raise SolaError(f'"layout" must be "TC" or "CT", not {self.layout!r}')

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest in `folder`, or return an empty manifest. Raises SolaError naming the file and key."""
        path = folder / MANIFEST_NAME
        if not path.exists():
            return cls()
        record = read_json(path, "a manifest")
        try:
            return cls.of(record)
        except SolaError as error:
            raise SolaError(f"{path}: {error}; correct or remove it") from None

    @classmethod
    def of(cls, record: Any) -> "Manifest":
        """Return the manifest for a JSON value, the inverse of `to_json`. Raises SolaError naming a bad key."""
        if not isinstance(record, dict):
            raise SolaError("expected a JSON object with keys such as dim, fps, stride, window")
        known = {key: _typed(key, record[key]) for key in KINDS if record.get(key) is not None}
        return cls(**known, other={key: value for key, value in record.items() if key not in KINDS})

    def timing(self) -> dict[str, float]:
        """Return fps, stride, window and offset, as far as known."""
        values = {key: getattr(self, key) for key in TIMING}
        return {key: value for key, value in values.items() if value is not None}

    def filled(self, timing: Mapping[str, float]) -> "Manifest":
        """Return the manifest with missing fps, stride, window and offset filled in from `timing`."""
        return replace(self, **{key: value for key, value in timing.items() if getattr(self, key) is None})  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return the known values as in the file."""
        known = {key: getattr(self, key) for key in KINDS}
        return {key: value for key, value in known.items() if value is not None} | dict(self.other)

    def write(self, folder: Path) -> None:
        """Write the manifest to `folder` atomically."""
        write_json(folder / MANIFEST_NAME, self.to_json())


WHOLE, NUMBER = ("a whole number", (int,)), ("a number or a fraction", (int, float, str))
STRING, OBJECT = ("a string", (str,)), ("an object", (dict,))
TIMING = ("fps", "stride", "window", "offset")
KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "dim": WHOLE,
    **dict.fromkeys(TIMING, NUMBER),
    **dict.fromkeys(("layout", "encoder"), STRING),
    **dict.fromkeys(("extraction", "sola"), OBJECT),
}
"""Type of each known key, as a description and as Python types."""


def _typed(key: str, value: Any) -> Any:
    """Return a JSON value, with numbers and "30000/1001" converted to float. Raises SolaError for a wrong type."""
    kind, types = KINDS[key]
    if type(value) not in types:  # isinstance would accept bool as int
        raise SolaError(f'"{key}" must be {kind}, not {value!r}')
    try:
        if KINDS[key] is not NUMBER:
            return value
        return parsed(value) if isinstance(value, str) else float(value)
    except ValueError:
        raise SolaError(f'"{key}" must be {kind}, not {value!r}') from None
    except OverflowError:
        raise SolaError(f'"{key}" must be a finite number, not a number with {len(str(value))} digits') from None
