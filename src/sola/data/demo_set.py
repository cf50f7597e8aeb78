"""The demo data set in the package: features of rendered videos of a moving figure, with annotations.

It is the set `long-1-efficientnet` of the rendered benchmark: see docs/benchmark.md.
"""

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.data.manifest import MANIFEST_NAME

NAME = "long-1-efficientnet"
"""Timeline (long actions), level of the scene (random, still camera) and frozen encoder."""
FILE = "demo_set.safetensors"


def write_demo_set(folder: Path) -> None:
    """Write `features/*.npy` ([time, 128] float16, 4 snippets per second) and `annotations.json` to a new folder.

    The subsets are `training` (56 videos) and `validation` (20); segments are in seconds.

    Raises SolaError if the file in the package is damaged, or if `folder` cannot be written or is not empty.
    """
    with as_file(files("sola.data") / FILE) as path:
        try:
            with safe_open(path, "numpy") as stored:
                features = {video: stored.get_tensor(video) for video in stored.keys()}  # noqa: SIM118 (no mapping)
                metadata = stored.metadata()
            manifest, annotations = metadata["manifest"], metadata["annotations"]
        except (OSError, SafetensorError, TypeError, KeyError) as error:
            raise SolaError(f"{path}: the package is damaged ({error}); install it again") from None
    with replacing(folder) as aside:
        (aside / "features").mkdir(parents=True)
        for video, array in features.items():
            np.save(aside / "features" / f"{video}.npy", array)
        (aside / "features" / MANIFEST_NAME).write_text(manifest)
        (aside / "annotations.json").write_text(annotations)
