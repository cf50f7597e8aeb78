"""The data sets of worn sensors: annotated segments cover the snippets of their action."""

from pathlib import Path

import numpy as np
import pytest
from sensors import smartwatch, timed_up_and_go
from sensors.statistics import STRIDE, WINDOW, features

from sola.data.dataset import Dataset

EXERCISES = (*smartwatch.ACTIONS, "ER", "TRAP", "ROW")


def numbered_recordings() -> dict[tuple[int, str], list[smartwatch.Recording]]:
    """Recordings whose samples are around the index of their exercise."""
    generator = np.random.default_rng(0)
    recorded = [
        smartwatch.Recording(generator.normal(index, 0.01, size=(1200, 6)), exercise)
        for index, exercise in enumerate(EXERCISES)
    ]
    return {(subject, "left"): recorded for subject in (1, smartwatch.TRAINING_SUBJECTS + 1)}


def test_annotated_segments_of_the_smartwatch_cover_the_snippets_of_their_exercise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smartwatch, "recordings", numbered_recordings)
    smartwatch.write(tmp_path / "set")
    data = Dataset.open(tmp_path / "set" / "features", tmp_path / "set" / "annotations.json")
    assert [video.subset for video in data.videos] == ["training", "validation"]
    for video in data.videos:
        means = data.features.read(video.feature_id)[:, 0]
        start = np.arange(len(means)) * STRIDE / smartwatch.FPS
        end = start + WINDOW / smartwatch.FPS
        covered = np.zeros(len(means), bool)
        for index, exercise in enumerate(smartwatch.ACTIONS):
            chosen = video.segments.label == data.annotations.classes.index(exercise)
            assert chosen.any()
            for first, last in zip(video.segments.start[chosen], video.segments.end[chosen], strict=True):
                inside = (start >= first) & (end <= last)
                np.testing.assert_allclose(means[inside], index, atol=0.01)
                covered |= (end > first) & (start < last)
        assert means[~covered].min() > 3.9


def test_features_are_statistics_of_a_window() -> None:
    time = np.arange(100) / smartwatch.FPS
    samples = np.repeat(3 + np.sin(2 * np.pi * 5 * time)[:, None], 6, axis=1)
    first, *_ = features(samples)
    mean, deviation, lowest, highest, *bands = first[::6]
    assert (mean, deviation, lowest, highest) == pytest.approx((3, np.sqrt(0.5), 2, 4), abs=0.05)
    assert bands == pytest.approx([0, 0, 0.5, 0], abs=1e-6)  # 5 Hz is in the third band


def test_annotated_segments_of_timed_up_and_go_cover_the_snippets_of_their_action(tmp_path: Path) -> None:
    parts = {"SEATED": 9, "STANDING_UP": 1, "WALKING": 9, "TURNING": 2, "SITTING_DOWN": 3}
    jitter = np.random.default_rng(0)
    for subject in (1, timed_up_and_go.TRAINING_SUBJECTS + 1):
        time, rows = 1.6e12, [",".join((*timed_up_and_go.AXES, "timestamp", "label"))]
        for label, value in parts.items():
            for _ in range(150):
                values = value + jitter.normal(0, 0.01, size=6)
                rows.append(",".join([*map(str, values), f"{time:.0f}", label]))
                time += jitter.uniform(8, 12)
        folder = tmp_path / "clone" / "DATA" / f"s{subject:02d}"
        folder.mkdir(parents=True)
        (folder / f"s{subject:02d}_01_sw.csv").write_text("\n".join(rows))
    timed_up_and_go.write(tmp_path / "clone", "sw", tmp_path / "set")
    data = Dataset.open(tmp_path / "set" / "features", tmp_path / "set" / "annotations.json")
    assert [(video.id, video.subset) for video in data.videos] == [("s01_01", "training"), ("s15_01", "validation")]
    for video in data.videos:
        means = data.features.read(video.feature_id)[:, 0]
        start = np.arange(len(means)) * STRIDE / timed_up_and_go.FPS
        middle = start + WINDOW / timed_up_and_go.FPS / 2
        labels = [data.annotations.classes[label] for label in video.segments.label]
        assert sorted(labels) == sorted(timed_up_and_go.ACTIONS)
        for label, first, last in zip(labels, video.segments.start, video.segments.end, strict=True):
            inside = (start >= first + 0.02) & (start + WINDOW / timed_up_and_go.FPS <= last - 0.02)
            assert inside.sum() >= 8
            np.testing.assert_allclose(means[inside], parts[label], atol=0.01)
            assert last - first == pytest.approx(1.5, abs=0.05)
        assert means[middle < 1] == pytest.approx(9, abs=0.01)
