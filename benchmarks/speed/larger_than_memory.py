"""Training with features in a memory-mapped file compared with features in memory, for different numbers of videos.

1,000 to 100,000 synthetic videos of 100 snippets × 128 channels (float16), packed as by `sola train`: in memory, or
above a memory limit in a mapped, unnamed file. Speed: windows per second in whole training steps (hidden 256, step 8,
batch 256, including window sampling), alternating in one process on the same windows, with a warm page cache. Memory:
peak anonymous memory (RssAnon, without pages of the mapped file, which the system can reclaim) of a separate process
that packs the videos and takes the same number of steps.

    python benchmarks/speed/larger_than_memory.py [--videos 1000 10000 100000] [--rounds 9] [--folder DIR]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from measuring import resident

from sola.data.ragged import PackedFeatures, allocate
from sola.softlanding.config import TrainingConfig
from sola.softlanding.task import SimilarityMatching
from sola.training.trainer import backward

CPU = torch.device("cpu")
LENGTH, CHANNELS, STEPS = 100, 128, 16
WAYS = {"in memory": None, "mapped": 0}
"""Memory limit (bytes) by kind of storage."""


def made_up(videos: int) -> Iterator[Float[np.ndarray, "time channels"]]:
    """Yield noise features that depend only on the index of the video."""
    noise = np.random.default_rng(0).standard_normal((LENGTH, CHANNELS), dtype=np.float32).astype(np.float16)
    for video in range(videos):
        yield np.roll(noise, video, axis=0)


def packed_to(limit: int | None, videos: int, folder: Path) -> PackedFeatures:
    """Return the synthetic videos in one array, filled video by video."""
    values = allocate((videos * LENGTH, CHANNELS), np.dtype(np.float16), limit, folder)
    for number, video in enumerate(made_up(videos)):
        values[number * LENGTH : (number + 1) * LENGTH] = video
    mapped_in = None if limit is None else folder
    return PackedFeatures(values, np.arange(videos + 1) * LENGTH, tuple(map(str, range(videos))), mapped_in)


class Training:
    """Consecutive training steps of sola."""

    def __init__(self, packed: PackedFeatures) -> None:
        config = TrainingConfig(hidden=256, windows_per_video=1, conditioning="center+scale")
        self.task = SimilarityMatching(config, packed, CPU)
        self.optimizer = torch.optim.AdamW(self.task.model.parameters(), lr=1e-4, fused=True)
        self.next = 0

    def steps(self, count: int) -> int:
        """Take `count` steps and return their number of windows."""
        windows = 0
        for _ in range(count):
            epoch, step = divmod(self.next, self.task.steps(0))
            batch = self.task.batch(epoch, step)
            backward(self.task, batch, CPU, "fp32")
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            windows += len(batch)
            self.next += 1
        return windows


def speeds(videos: int, rounds: int, folder: Path) -> dict[str, float]:
    """Return the windows per second of both kinds of storage, measured in alternation, and their ratio."""
    both = {way: Training(packed_to(limit, videos, folder)) for way, limit in WAYS.items()}
    rates: dict[str, list[float]] = {way: [] for way in both}
    for number in range(rounds + 1):
        for way, training in both.items():
            began = time.perf_counter()
            windows = training.steps(STEPS)
            if number:
                rates[way].append(windows / (time.perf_counter() - began))
    ratio = statistics.median(m / i for m, i in zip(rates["mapped"], rates["in memory"], strict=True))
    medians = {f"windows_per_s {way}": round(statistics.median(rate)) for way, rate in rates.items()}
    return {**medians, "mapped_of_in_memory": round(ratio, 2)}


def print_peak(way: str, videos: int, rounds: int, folder: Path) -> None:
    """Print the peak anonymous memory of packing and training (bytes), minus the memory after the imports."""
    before, peak, ended = resident("RssAnon"), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            peak[0] = max(peak[0], resident("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    Training(packed_to(WAYS[way], videos, folder)).steps(STEPS * rounds)
    ended.set()
    watcher.join()
    print(peak[0] - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="+", default=(1_000, 10_000, 100_000))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="folder for the mapped file")
    parser.add_argument("--peak-of", choices=tuple(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print_peak(options.peak_of, options.videos[0], options.rounds, options.folder)
        return
    rows = []
    for videos in options.videos:
        row: dict[str, float] = {"videos": videos, "MiB packed": round(videos * LENGTH * CHANNELS * 2 / 2**20)}
        row |= speeds(videos, options.rounds, options.folder)
        for way in WAYS:
            command = [sys.executable, __file__, "--videos", str(videos), "--folder", str(options.folder)]
            command += ["--rounds", str(options.rounds)]
            peak = subprocess.run([*command, "--peak-of", way], check=True, stdout=subprocess.PIPE).stdout
            row[f"peak MiB {way}"] = round(int(peak) / 2**20)
        rows.append(row)
    print(json.dumps({"threads": torch.get_num_threads(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
