"""Linear evaluation of both recipes beside every control: all labels and few, both solvers.

cd benchmarks && python -m rendered.study.linear OUT RUNS [--part validation|testing] [--seeds 10] [--sets NAME ...]

Writes RUNS/SET/PART-SOLVER-LABELS.json, each what `sola probe --json` would say of that set.
"""

from pathlib import Path

from rendered.study.softening import RECIPES_SHOWN, arguments, in_parallel, set_names, softened
from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.evaluation.probe import Solver, probe

FEW = 5
"""Labeled videos of the few-label figures."""
PARTS = ("validation", "testing")


def measured_at(runs: Path, name: str, part: str, solver: Solver, videos: int | None) -> Path:
    """Where one probe is written."""
    return runs / name / f"{part}-{solver}-{'all' if videos is None else videos}.json"


def measure(folder: Path, runs: Path, part: str, solver: Solver, videos: int | None, seeds: int) -> Path:
    """Probe one set with one solver and number of labeled videos, unless that is done."""
    path = measured_at(runs, folder.name, part, solver, videos)
    if not path.exists():
        data = Dataset.open(folder / "features", folder / "annotations.json")
        compared = {
            row: [softened(runs, folder.name, recipe, seed) for seed in range(seeds)]
            for recipe, row in RECIPES_SHOWN.items()
        }
        result = probe(data, compared, solver=solver, videos=videos, seeds=seeds, test_subset=part)
        write_json(path, result.to_json())
    return path


def main() -> None:
    """Measure what is not measured yet."""
    parser = arguments(__doc__, seeds=10)
    parser.add_argument("--part", choices=PARTS, default="validation", help="of the videos, the one that is scored")
    given = parser.parse_args()
    names = set_names(given.out, given.sets)
    jobs = [
        (given.out / name, given.runs, given.part, solver, videos, given.seeds)
        for solver, videos in (("ridge", FEW), ("ridge", None), ("sgd", FEW), ("sgd", None))
        for name in names
    ]
    in_parallel(measure, jobs, given.workers)


if __name__ == "__main__":
    main()
