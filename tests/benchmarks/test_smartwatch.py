"""The smartwatch data set: annotated segments cover the snippets of their exercise."""

from pathlib import Path

import numpy as np
import pytest
from smartwatch import data_set

from sola.data.dataset import Dataset

EXERCISES = (*data_set.ACTIONS, "ER", "TRAP", "ROW")


def numbered_recordings() -> dict[tuple[int, str], list[data_set.Recording]]:
    """Recordings whose samples are around the index of their exercise."""
    generator = np.random.default_rng(0)
    recorded = [
        data_set.Recording(generator.normal(index, 0.01, size=(1200, 6)), exercise)
        for index, exercise in enumerate(EXERCISES)
    ]
    return {(subject, "left"): recorded for subject in (1, data_set.TRAINING_SUBJECTS + 1)}


def test_annotated_segments_cover_the_snippets_of_their_exercise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_set, "recordings", numbered_recordings)
    data_set.write(tmp_path / "set")
    data = Dataset.open(tmp_path / "set" / "features", tmp_path / "set" / "annotations.json")
    assert [video.subset for video in data.videos] == ["training", "validation"]
    for video in data.videos:
        means = data.features.read(video.feature_id)[:, 0]
        start = np.arange(len(means)) * data_set.STRIDE / data_set.FPS
        end = start + data_set.WINDOW / data_set.FPS
        covered = np.zeros(len(means), bool)
        for index, exercise in enumerate(data_set.ACTIONS):
            chosen = video.segments.label == data.annotations.classes.index(exercise)
            assert chosen.any()
            for first, last in zip(video.segments.start[chosen], video.segments.end[chosen], strict=True):
                inside = (start >= first) & (end <= last)
                np.testing.assert_allclose(means[inside], index, atol=0.01)
                covered |= (end > first) & (start < last)
        assert means[~covered].min() > 3.9


def test_features_are_statistics_of_one_second() -> None:
    time = np.arange(100) / data_set.FPS
    samples = np.repeat(3 + np.sin(2 * np.pi * 5 * time)[:, None], 6, axis=1)
    first, *_ = data_set.features(samples)
    mean, deviation, lowest, highest, *bands = first[::6]
    assert (mean, deviation, lowest, highest) == pytest.approx((3, np.sqrt(0.5), 2, 4), abs=0.05)
    assert bands == pytest.approx([0, 0, 0.5, 0], abs=1e-6)  # 5 Hz is in the third band
