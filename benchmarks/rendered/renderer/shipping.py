"""Pack the demo data set of the package: the first videos of a set that `rendered.renderer.benchmark` has made.

cd benchmarks && python -m rendered.renderer.shipping OUT        # writes ../src/sola/data/demo_set.safetensors
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
"""Videos of each subset; 128 channels of float16 at 4 a second are 70 KB a video; the limit is 12 MB."""
TARGET = Path(__file__).parents[3] / "src" / "sola" / "data" / FILE


def pack(made: Path, path: Path) -> None:
    """Write one set as one file: a tensor a video, manifest and annotations in the header."""
    names = [f"{subset}_{index:04d}" for subset, count in COUNTS.items() for index in range(count)]
    features = {name: np.load(made / "features" / f"{name}.npy") for name in names}
    annotations = read_json(made / "annotations.json", "annotations")
    annotations["database"] = {name: annotations["database"][name] for name in names}
    manifest = read_json(made / "features" / MANIFEST_NAME, "a manifest")
    with replacing(path) as aside:
        save_file(features, aside, {"manifest": json.dumps(manifest), "annotations": json.dumps(annotations)})


def main() -> None:
    """Pack the demo data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder that rendered.renderer.benchmark has written")
    given = parser.parse_args()
    pack(given.out / NAME, TARGET)


if __name__ == "__main__":
    main()
