"""Run the script and the commands of docs/tutorials/sensors.md unchanged, on generated recordings."""

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from support.calling import sola
from support.documents import run_script, shell_lines
from support.places import DOCS

from sola.data.features import FeatureSet

PAGE = DOCS / "tutorials" / "sensors.md"
SHORT = {"train-detector": ["--epochs", "2", "--warmup-epochs", "1", "--length", "64"]}
"""Flags for a short training. Its accuracy is not tested here."""
RATE, DURATION = 50, 24
"""Samples per second, and length of a recording (seconds)."""


def write_recordings(names: list[str]) -> None:
    """Write recordings at rest with two actions each, and the table of these actions."""
    Path("recordings").mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for number, name in enumerate(names):
        samples = generator.normal(0, 0.1, size=(RATE * DURATION, 6))
        for label, frequency in (("turning", 2), ("jumping", 6)):
            start = generator.uniform(2, 8) + (12 if label == "jumping" else 0)
            time = np.arange(len(samples)) / RATE
            inside = (time >= start) & (time < start + 3)
            samples[inside] += np.sin(2 * np.pi * frequency * time[inside])[:, None]
            rows.append(
                [name, f"{start:.2f}", f"{start + 3:.2f}", label, "validation" if number % 3 == 0 else "training"]
            )
        np.savetxt(f"recordings/{name}.csv", samples, delimiter=",", header="ax,ay,az,gx,gy,gz", comments="")
    with Path("annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["video", "start", "end", "label", "subset"], *rows])


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_the_page_runs_from_recordings_to_detections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_recordings([f"person{number}" for number in range(6)])
    run_script(PAGE)
    assert FeatureSet.open("features").manifest.fps == RATE
    for line in shell_lines(PAGE):
        if line.startswith("sola "):
            words = shlex.split(line)[1:]
            assert sola(*words, *SHORT.get(words[0], [])) == 0, line
    found = json.loads(Path("detections.json").read_text())["results"]
    assert sorted(found) == ["person0", "person3"]
    assert all(0 <= end <= DURATION for each in found.values() for entry in each for end in entry["segment"])
