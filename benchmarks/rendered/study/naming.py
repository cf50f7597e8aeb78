"""Proposals of one feature set, with the classes of a snippet classifier on another.

cd benchmarks && python -m rendered.study.naming OUT RUNS [--sets NAME ...] [--part validation|testing] [--seeds 3]

Takes the runs of `rendered.study.detectors`. Prints the average mAP of every pair, and compares `auto`'s proposals with
the control's names against the control alone.
"""

from itertools import product
from pathlib import Path

import numpy as np

from rendered.study.detectors import TIOU, base_features, data_of, run_of
from rendered.study.linear import PARTS
from rendered.study.softening import arguments, set_names
from rendered.study.tables import markdown, p_value
from sola.data.detections import write_detections
from sola.detectors.detect import name_proposals, propose
from sola.detectors.trained import TrainedDetector
from sola.evaluation.statistics import paired_difference
from sola.report.sources import DETECTIONS
from sola.studies.measuring import Measured
from sola.studies.measuring import measure as measure_run
from sola.studies.runs import PROPOSALS

BASES = ("raw", "best control", "SoLa, auto")
DETECTORS = ("BMN", "G-TAD")


def measure(folder: Path, runs: Path, name: str, seed: int, part: str) -> dict[tuple[str, str], Measured]:
    """Measurements by (features of the proposals, features of the names)."""
    data, tiou = data_of(folder, part), TIOU[folder.name.split("-")[0]]
    bases = {base: base_features(folder, runs, base, seed).subset(part) for base in BASES}
    detectors = {base: TrainedDetector.load(run_of(folder, runs, name, base, seed)) for base in BASES}
    proposals = {base: propose(detectors[base], bases[base]) for base in BASES}
    measured = {}
    for base, names in product(BASES, BASES):
        out = runs / folder.name / "named" / f"{name}, {base}, names {names}, {seed}" / part
        out.mkdir(parents=True, exist_ok=True)
        named = name_proposals(detectors[names], bases[names], proposals[base])
        write_detections(out / PROPOSALS, proposals[base], ("action",))
        write_detections(out / DETECTIONS, named, bases[base].classes)
        measured[base, names] = measure_run(data, out, tiou)
    return measured


def main() -> None:
    parser = arguments(__doc__, seeds=3)
    parser.add_argument("--part", choices=PARTS, default="validation", help="of the videos, the one that is scored")
    given = parser.parse_args()
    part, lines = given.part, []
    for name, detector in product(set_names(given.out, given.sets), DETECTORS):
        folder = given.out / name
        every = [measure(folder, given.runs, detector, seed, part) for seed in range(given.seeds)]
        videos = len(data_of(folder, part).open_annotations().subset(part).videos)

        def values(pair: tuple[str, str], every: list[dict[tuple[str, str], Measured]] = every) -> np.ndarray:
            return np.array([one[pair].values["average_mAP"] for one in every])

        def drawn(pair: tuple[str, str], every: list[dict[tuple[str, str], Measured]] = every) -> np.ndarray:
            return np.mean([one[pair].draws["average_mAP"] for one in every], axis=0)

        mixed, control = ("SoLa, auto", "best control"), ("best control", "best control")
        gain = paired_difference(values(mixed).mean() - values(control).mean(), drawn(mixed), drawn(control), videos)
        cells = [f"{100 * values(pair).mean():.1f}" for pair in product(BASES, BASES)]
        lines.append([detector, f"`{name}`", *cells, f"{100 * gain.estimate:+.1f} (p {p_value(gain.p)})"])
    heading = [f"{base}, named by {names}" for base, names in product(BASES, BASES)]
    print(markdown(["detector", "set", *heading, "mixed less control"], lines))


if __name__ == "__main__":
    main()
