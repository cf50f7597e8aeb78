"""`sola train` on 10,000 annotated synthetic videos of 150 × 400 float16: peak memory, and the cost of data checks.

    python benchmarks/speed/training_memory.py [--videos 10000] [--folder DIR]

The command trains for one epoch in a separate process. Its peak resident set size is read from the operating system
afterwards and compared with the size of the packed features. The checks of the data set, which read only headers, are
then timed separately and compared with the time of the command.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.data.manifest import Manifest

LENGTH, CHANNELS = 150, 400
TIMING = Manifest(fps=30.0, stride=16.0, window=16.0)
DURATION = LENGTH * 16 / 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=None, help="folder for the temporary features")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, annotations = Path(folder) / "features", Path(folder) / "annotations.json"
        write(source, annotations, options.videos)
        command = [sys.executable, "-m", "sola", "train", str(source), "--annotations", str(annotations)]
        began = time.perf_counter()
        subprocess.run([*command, "--epochs", "1", "--out", str(Path(folder) / "run")], check=True)
        training_seconds = time.perf_counter() - began
        check_seconds = seconds_of_checks(source, annotations)
    packed = options.videos * LENGTH * CHANNELS * 2
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    gib = {"packed_features": packed, "peak": peak, "above_packed": peak - packed}
    results = {
        "videos": options.videos,
        "GiB": {k: round(v / 2**30, 3) for k, v in gib.items()},
        "seconds": {"one_epoch": round(training_seconds, 2), "data_checks": round(check_seconds, 3)},
        "share_of_one_epoch": round(check_seconds / training_seconds, 4),
    }
    print(json.dumps(results, indent=2))


def write(source: Path, annotations: Path, videos: int) -> None:
    """Write features, their manifest, and annotations with three instances per video."""
    source.mkdir()
    generator = np.random.default_rng(0)
    segments = [[0.1 * DURATION, 0.2 * DURATION], [0.4 * DURATION, 0.6 * DURATION], [0.7 * DURATION, DURATION]]
    instances = [{"segment": segment, "label": "action"} for segment in segments]
    for video in range(videos):
        noise = generator.standard_normal((LENGTH, CHANNELS), dtype=np.float32)
        np.save(source / f"{video:06d}.npy", noise.astype(np.float16))
    TIMING.write(source)
    record = {"subset": "training", "duration": DURATION, "annotations": instances}
    write_json(annotations, {"database": {f"{video:06d}": record for video in range(videos)}})


def seconds_of_checks(source: Path, annotations: Path) -> float:
    """Return the median time (seconds) of the checks of the opened data set, without cached results."""
    data = Dataset.open(source, annotations)
    times = []
    for _ in range(5):
        again = replace(data)
        began = time.perf_counter()
        assert not again.summary.findings
        times.append(time.perf_counter() - began)
    return float(np.median(times))


if __name__ == "__main__":
    main()
