"""Two sets of the rendered benchmark, as they come with the package: features of untrimmed videos of a figure.

They are made by `benchmarks/rendered/renderer`, which also makes the others: docs/benchmark.md says what they are.
"""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.data.manifest import MANIFEST_NAME

BenchmarkSet = Literal["long-1-efficientnet", "short-2-clip"]
"""Timeline (long or short actions), level of the scene (1: random and still; 2: moving camera), frozen encoder."""
FOLDER = "demo_set_files"


def write_benchmark(name: BenchmarkSet, folder: Path) -> None:
    """Write `features/*.npy` ([time, 128] float16, four a second) with manifest and `annotations.json` to a new folder.

    Subsets are `training` (56 videos) and `validation` (20); segments are in seconds.

    Raises SolaError when the package's file is damaged, or when `folder` cannot be written or holds something already.
    """
    with as_file(files("sola.data") / FOLDER / f"{name}.safetensors") as path:
        try:
            with safe_open(path, "numpy") as stored:
                features = {video: stored.get_tensor(video) for video in stored.keys()}  # noqa: SIM118 (no mapping)
                described = stored.metadata()
            manifest, annotations = described["manifest"], described["annotations"]
        except (OSError, SafetensorError, TypeError, KeyError) as error:
            raise SolaError(f"{path}: the package is damaged ({error}); install it again") from None
    with replacing(folder) as aside:
        (aside / "features").mkdir(parents=True)
        for video, array in features.items():
            np.save(aside / "features" / f"{video}.npy", array)
        (aside / "features" / MANIFEST_NAME).write_text(manifest)
        (aside / "annotations.json").write_text(annotations)
