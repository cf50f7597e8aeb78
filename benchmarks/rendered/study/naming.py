"""Whose features name the proposals: proposals of one feature set, classes of a snippet classifier on another.

cd benchmarks && python -m rendered.study.naming OUT RUNS [--sets NAME ...] [--part validation|testing] [--seeds 3]

After `rendered.study.heads`, whose runs it takes. Prints average mAP of every pair, and how `auto`'s
proposals with the control's names stand to the control alone.
"""

from itertools import product
from pathlib import Path

import numpy as np
from sola.studies.work import DETECTIONS, PROPOSALS

from rendered.study.heads import TIOU, base_features, data_of, run_of
from rendered.study.linear import PARTS
from rendered.study.softening import arguments, set_names
from rendered.study.tables import markdown, p_value
from sola.data.detections import write_detections
from sola.detectors.detect import detect, name_proposals
from sola.detectors.trained import TrainedDetector
from sola.evaluation.statistics import paired_difference
from sola.studies.measuring import Measured
from sola.studies.measuring import measure as measure_run

BASES = ("raw", "best control", "SoLa, auto")
HEADS = ("BMN", "G-TAD")


def measure(folder: Path, runs: Path, head: str, seed: int, part: str) -> dict[tuple[str, str], Measured]:
    """Of every pair: whose proposals, whose names."""
    data, tiou = data_of(folder, part), TIOU[folder.name.split("-")[0]]
    bases = {base: base_features(folder, runs, base, seed).subset(part) for base in BASES}
    detectors = {base: TrainedDetector.load(run_of(folder, runs, head, base, seed)) for base in BASES}
    proposals = {base: detect(detectors[base], bases[base]) for base in BASES}
    measured = {}
    for base, names in product(BASES, BASES):
        out = runs / folder.name / "named" / f"{head}, {base}, names {names}, {seed}" / part
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
    for name, head in product(set_names(given.out, given.sets), HEADS):
        folder = given.out / name
        every = [measure(folder, given.runs, head, seed, part) for seed in range(given.seeds)]
        videos = len(data_of(folder, part).open_annotations().subset(part).videos)

        def figure(pair: tuple[str, str], every: list[dict[tuple[str, str], Measured]] = every) -> np.ndarray:
            return np.array([one[pair].values["average_mAP"] for one in every])

        def drawn(pair: tuple[str, str], every: list[dict[tuple[str, str], Measured]] = every) -> np.ndarray:
            return np.mean([one[pair].draws["average_mAP"] for one in every], axis=0)

        mixed, control = ("SoLa, auto", "best control"), ("best control", "best control")
        gain = paired_difference(figure(mixed).mean() - figure(control).mean(), drawn(mixed), drawn(control), videos)
        cells = [f"{100 * figure(pair).mean():.1f}" for pair in product(BASES, BASES)]
        lines.append([head, f"`{name}`", *cells, f"{100 * gain.estimate:+.1f} (p {p_value(gain.p)})"])
    heading = [f"{base}, named by {names}" for base, names in product(BASES, BASES)]
    print(markdown(["head", "set", *heading, "mixed less control"], lines))


if __name__ == "__main__":
    main()
