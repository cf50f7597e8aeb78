"""Demo data set included in the package: features of rendered videos of a moving figure, with annotations.

It is the data set `long-1-efficientnet` of the rendered benchmark; see docs/explanation/benchmark.md.
"""

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from sola.core.errors import SolaError
from sola.core.files import replacing
from sola.data.manifest import MANIFEST_NAME

NAME = "long-1-efficientnet"
"""Timeline (long actions), scene level (random, static camera) and frozen encoder."""
FILE = "demo_set.safetensors"


def write_demo_set(folder: Path) -> None:
    """Write `features/*.npy` ([time, 128] float16, 4 snippets per second) and `annotations.json` to a new folder.

    The subsets are `training` (56 videos) and `validation` (20); segments are in seconds.

    Raises SolaError if the packaged file is damaged, or if `folder` is not writable or not empty.
    """
    with as_file(files("sola.data") / FILE) as path:
        try:
            with safe_open(path, "numpy") as stored:
                features = {video: stored.get_tensor(video) for video in stored.keys()}  # noqa: SIM118 (not a mapping)
                metadata = stored.metadata()
            manifest, annotations = metadata["manifest"], metadata["annotations"]
        except (OSError, SafetensorError, TypeError, KeyError) as error:
            raise SolaError(f"{path}: damaged package ({error}); reinstall sola-tal") from None
    with replacing(folder) as temporary:
        (temporary / "features").mkdir(parents=True)
        for video, array in features.items():
            np.save(temporary / "features" / f"{video}.npy", array)
        (temporary / "features" / MANIFEST_NAME).write_text(manifest)
        (temporary / "annotations.json").write_text(annotations)
