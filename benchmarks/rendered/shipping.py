"""Pack the demo data set of the package: the first videos of a set written by `rendered.benchmark`.

cd benchmarks && python -m rendered.shipping OUT        # writes ../src/sola/data/demo_set.safetensors
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sola.core.files import read_json, replacing
from sola.data.demo_set import FILE, NAME
from sola.data.manifest import MANIFEST_NAME

COUNTS = {"training": 56, "validation": 20}
"""Number of videos by subset. With 128 float16 channels at 4 Hz, a video has 70 KB; the limit is 12 MB."""
TARGET = Path(__file__).parents[2] / "src" / "sola" / "data" / FILE


def pack(folder: Path, path: Path) -> None:
    """Write a set as a single file, with one tensor per video and the manifest and annotations in the header."""
    names = [f"{subset}_{index:04d}" for subset, count in COUNTS.items() for index in range(count)]
    features = {name: np.load(folder / "features" / f"{name}.npy") for name in names}
    annotations = read_json(folder / "annotations.json", "annotations")
    annotations["database"] = {name: annotations["database"][name] for name in names}
    manifest = read_json(folder / "features" / MANIFEST_NAME, "a manifest")
    with replacing(path) as aside:
        save_file(features, aside, {"manifest": json.dumps(manifest), "annotations": json.dumps(annotations)})


def main() -> None:
    """Pack the demo data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="output folder of rendered.benchmark")
    given = parser.parse_args()
    pack(given.out / NAME, TARGET)


if __name__ == "__main__":
    main()
