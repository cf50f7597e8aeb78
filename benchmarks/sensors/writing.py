"""Data sets of sensor recordings: features with a manifest, and annotations."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sensors.statistics import STRIDE, WINDOW, features
from sola.core.errors import SolaError
from sola.core.files import replacing, write_json
from sola.data.manifest import Manifest


class Untrimmed(NamedTuple):
    """An untrimmed recording at a constant rate."""

    name: str
    training: bool
    """Whether the recording is in the subset training; otherwise, it is in validation."""
    samples: Float[np.ndarray, "time axes"]
    annotations: list[dict[str, Any]]
    """Annotated actions in ActivityNet's layout (seconds)."""


def write_data_set(folder: Path, fps: int, recordings: Iterable[Untrimmed]) -> None:
    """Write `features/*.npy` with a manifest, and `annotations.json`, to a new folder.

    `fps` is the number of samples per second. Raises SolaError if there is no recording.
    """
    database = {}
    with replacing(folder) as aside:
        (aside / "features").mkdir(parents=True)
        for name, training, samples, annotations in recordings:
            values = features(samples)
            np.save(aside / "features" / f"{name}.npy", values)
            database[name] = {
                "subset": "training" if training else "validation",
                "duration": len(samples) / fps,
                "annotations": annotations,
            }
        if not database:
            raise SolaError(f"{folder}: no recordings to write; expected at least one")
        Manifest(dim=values.shape[1], fps=fps, stride=STRIDE, window=WINDOW).write(aside / "features")
        write_json(aside / "annotations.json", {"database": database})
