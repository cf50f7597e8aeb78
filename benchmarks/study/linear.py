"""Linear evaluation of SoLa, all controls and untrained modules, with all and with few labels, and both solvers.

cd benchmarks && python -m study.linear OUT RUNS [--part validation|testing] [--seeds 10] [--sets NAME ...]

Writes RUNS/SET/PART-SOLVER-LABELS.json in the format of `sola probe --json`. Seed i determines the labeled videos and
uses the i-th module, cyclically.
"""

from collections.abc import Sequence
from pathlib import Path

from sola.core.files import write_json
from sola.data.dataset import Dataset
from sola.evaluation.probe import Solver, probe
from study.softening import RECIPES_SHOWN, arguments, in_parallel, set_names, softened

FEW = 5
"""Number of labeled videos in few-label evaluation."""
PARTS = ("validation", "testing")
SOLVERS: tuple[Solver, ...] = ("ridge", "sgd")


def measured_at(runs: Path, name: str, part: str, solver: Solver, videos: int | None) -> Path:
    """Return the path of a probe's result."""
    return runs / name / f"{part}-{solver}-{'all' if videos is None else videos}.json"


def measure(
    folder: Path,
    runs: Path,
    recipes: Sequence[str],
    part: str,
    solver: Solver,
    videos: int | None,
    seeds: int,
    modules: int,
    together: str | None = None,
) -> Path:
    """Probe one set with one solver and number of labeled videos, unless the result exists."""
    path = measured_at(runs, folder.name, part, solver, videos)
    if not path.exists():
        data = Dataset.open(folder / "features", folder / "annotations.json")
        compared = {
            RECIPES_SHOWN[recipe]: [softened(runs, folder.name, recipe, seed) for seed in range(modules)]
            for recipe in recipes
        }
        result = probe(data, compared, solver=solver, videos=videos, seeds=seeds, test_subset=part, together=together)
        write_json(path, result.to_json())
    return path


def main() -> None:
    """Compute missing results."""
    parser = arguments(__doc__, seeds=10)
    parser.add_argument("--part", choices=PARTS, default="validation", help="subset for evaluation")
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=SOLVERS)
    parser.add_argument("--labels", nargs="+", choices=("all", "few"), default=("few", "all"))
    parser.add_argument("--modules", type=int, help="number of modules per recipe; by default, the number of seeds")
    parser.add_argument("--together", help="regular expression for videos to resample together, as for `sola probe`")
    given = parser.parse_args()
    numbers = {"all": None, "few": FEW}
    jobs = [
        (
            *(given.out / name, given.runs, given.recipes, given.part, solver, numbers[labels]),
            *(given.seeds, given.modules or given.seeds, given.together),
        )
        for name in set_names(given.out, given.sets)
        for solver in given.solvers
        for labels in given.labels
    ]
    in_parallel(measure, jobs, given.workers)


if __name__ == "__main__":
    main()
