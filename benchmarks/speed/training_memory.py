"""Peak memory of `sola train` on 10,000 synthetic videos of 150 × 400 float16, beside the size of the packed features.

    python benchmarks/speed/training_memory.py [--videos 10000] [--folder DIR]

The command runs in a process of its own; its peak resident set is read from the operating system when it has ended.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

LENGTH, CHANNELS = 150, 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to write the features meanwhile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder) / "features"
        source.mkdir()
        generator = np.random.default_rng(0)
        for video in range(options.videos):
            noise = generator.standard_normal((LENGTH, CHANNELS), dtype=np.float32)
            np.save(source / f"{video:06d}.npy", noise.astype(np.float16))
        command = [sys.executable, "-m", "sola", "train", str(source), "--out", str(Path(folder) / "run")]
        subprocess.run([*command, "--epochs", "1"], check=True)
    packed = options.videos * LENGTH * CHANNELS * 2
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    gib = {"packed_features": packed, "peak": peak, "above_packed": peak - packed}
    print(json.dumps({"videos": options.videos, "GiB": {k: round(v / 2**30, 3) for k, v in gib.items()}}, indent=2))


if __name__ == "__main__":
    main()
