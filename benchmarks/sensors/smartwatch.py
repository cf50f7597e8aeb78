"""Write features and annotations of untrimmed smartwatch recordings.

pip install seglearn
cd benchmarks && python -m sensors.smartwatch OUT

seglearn (BSD license) contains recordings of shoulder exercises: acceleration and rotation at 50 Hz, 10 subjects, both
arms, 7 exercises (Burns et al., Shoulder physiotherapy exercise recognition, 2018). The recordings are trimmed: each
has one exercise. For each subject and arm, this script joins parts of 8 to 20 s in random order into one recording.
Four exercises are actions, the other three are background. Subjects 1 to 6 are for training, 7 to 10 for validation.

Features are statistics of one second (`sensors.statistics`), 5 times per second, of each of the 6 sensor axes.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sensors.writing import Untrimmed, write_data_set

FPS = 50
"""Samples per second."""
ACTIONS = ("PEN", "ABD", "FEL", "IR")
"""Exercises that are annotated."""
SHORTEST, LONGEST = 8.0, 20.0
"""Duration of a part (seconds)."""
REPEATED = 4
"""Number of exercises in a recording that occur twice."""
TRAINING_SUBJECTS = 6


class Recording(NamedTuple):
    """A recording of one exercise."""

    samples: Float[np.ndarray, "time axes"]
    exercise: str


def recordings() -> dict[tuple[int, str], list[Recording]]:
    """Return the recordings in seglearn by subject and arm."""
    from seglearn.datasets import load_watch

    data = load_watch()
    by_arm: dict[tuple[int, str], list[Recording]] = {}
    for samples, exercise, subject, side in zip(data["X"], data["y"], data["subject"], data["side"], strict=True):
        key = (int(subject), "right" if side else "left")
        by_arm.setdefault(key, []).append(Recording(np.asarray(samples, np.float64), data["y_labels"][exercise]))
    return by_arm


def parts(recorded: Sequence[Recording], generator: np.random.Generator) -> Iterator[Recording]:
    """Cut a part from every recording in random order, then from `REPEATED` of them again."""
    order = [*generator.permutation(len(recorded)), *generator.permutation(len(recorded))[:REPEATED]]
    for index in order:
        samples, exercise = recorded[index]
        length = min(round(generator.uniform(SHORTEST, LONGEST) * FPS), len(samples))
        first = generator.integers(len(samples) - length + 1)
        yield Recording(samples[first : first + length], exercise)


def joined() -> Iterator[Untrimmed]:
    """Yield one recording for each subject and arm, joined from parts, with the exercises in `ACTIONS` annotated."""
    for (subject, side), recorded in sorted(recordings().items()):
        chosen = list(parts(recorded, np.random.default_rng([subject, side == "right"])))
        ends = (np.cumsum([len(part.samples) for part in chosen]) / FPS).tolist()
        annotations = [
            {"segment": [start, end], "label": part.exercise}
            for start, end, part in zip([0.0, *ends[:-1]], ends, chosen, strict=True)
            if part.exercise in ACTIONS
        ]
        samples = np.concatenate([part.samples for part in chosen])
        yield Untrimmed(f"subject{subject:02d}_{side}", subject <= TRAINING_SUBJECTS, samples, annotations)


def write(folder: Path) -> None:
    """Write the data set to a new folder."""
    write_data_set(folder, FPS, joined())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
