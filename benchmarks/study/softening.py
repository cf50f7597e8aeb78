"""Train a module without labels for each recipe, seed and set, and transform the labeled videos.

cd benchmarks && python -m study.softening OUT RUNS [--seeds 10] [--sets NAME ...] [--recipes auto]
    [--workers 2]

OUT/SET contains features/ and annotations.json: a set written by `rendered.benchmark`, or any other set. Runs
are written to RUNS/SET/RECIPE-SEED/, with the transformed videos in features/. Modules are trained on the training
videos.
"""

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

import torch

from sola.data.dataset import Dataset
from sola.data.features import FeatureSet
from sola.pipeline.transform_job import transform
from sola.softlanding.train import train

T = TypeVar("T")

RECIPES_SHOWN: dict[str, str] = {"anet": "SoLa, published", "auto": "SoLa, auto"}
"""Row name by recipe."""


def soften(folder: Path, runs: Path, recipe: str, seed: int) -> Path:
    """Train on the set in `folder` and transform its labeled videos. Return the folder of the transformed features."""
    out = runs / folder.name / f"{recipe}-{seed}"
    if (out / "features").exists():
        return out / "features"
    data = labeled(folder)
    module = train(data.subset("training"), recipe, out, seed=seed, resume=True, quiet=True)
    transform(module, data.features, out / "features")
    return out / "features"


def labeled(folder: Path) -> Dataset:
    """Return the labeled videos of a set."""
    data = Dataset.open(folder / "features", folder / "annotations.json")
    return data.only(video.id for video in data.videos if video.subset != "unlabeled")


def softened(runs: Path, name: str, recipe: str, seed: int) -> FeatureSet:
    """Return the features written by `soften` for a set."""
    return FeatureSet.open(runs / name / f"{recipe}-{seed}" / "features")


def set_names(out: Path, chosen: list[str] | None) -> list[str]:
    """Return the requested sets, or all."""
    return chosen or sorted(path.parent.name for path in out.glob("*/annotations.json"))


def in_parallel(work: Callable[..., T], jobs: Iterable[tuple[Any, ...]], workers: int) -> list[T]:
    """Call `work` with the arguments of each job in single-threaded processes. Print and return the return values."""
    results = []
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            results.append(done.result())
            print(results[-1], flush=True)
    return results


def arguments(description: str | None, seeds: int) -> argparse.ArgumentParser:
    """Return a parser with the options common to all parts of the study."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the sets, each with features/ and annotations.json")
    parser.add_argument("runs", type=Path, help="folder of the study")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--sets", nargs="+", help="sets to use; all by default")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES_SHOWN), default=list(RECIPES_SHOWN))
    parser.add_argument("--workers", type=int, default=2, help="number of processes, with one thread each")
    return parser


def main() -> None:
    """Train missing modules."""
    given = arguments(__doc__, seeds=10).parse_args()
    names = set_names(given.out, given.sets)
    jobs = [(given.out / n, given.runs, r, seed) for seed in range(given.seeds) for n in names for r in given.recipes]
    in_parallel(soften, jobs, given.workers)


if __name__ == "__main__":
    main()
